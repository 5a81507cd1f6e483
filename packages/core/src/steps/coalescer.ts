import { Deferred } from './deferred.js';
import type { Steps } from './steps.js';

/** Runs that would overlap, one after another; all that ask while one is under way share the next. */
export class Coalescer {
  #running = false;
  #next: Round | undefined;
  #waiters: (() => void)[] = [];

  /** True while a run is under way. */
  get isRunning(): boolean {
    return this.#running;
  }

  /** Waits until a run of `action` that began after this call has ended, and answers as it did. */
  *run(action: () => Steps<void>): Steps<void> {
    if (this.#running) {
      this.#next ??= new Round();
      const round = this.#next;
      const leads = round.members++ === 0;
      if (!leads) {
        yield round.ended.promise;
        return;
      }
      try {
        yield round.begins.promise;
      } catch (error) {
        this.#next = undefined; // a synchronous caller that cannot wait: who joined it asks again
        round.ended.reject(error);
        throw error;
      }
      yield* this.#lead(action, round);
      return;
    }
    yield* this.#lead(action, undefined);
  }

  /** Runs `action` when no run is under way, and shares it with nobody: who asks meanwhile waits for a run of its own. */
  *alone<T>(action: () => Steps<T>): Steps<T> {
    while (this.#running) yield new Promise<void>((resolve) => this.#waiters.push(resolve));
    this.#running = true;
    try {
      return yield* action();
    } finally {
      this.#end();
    }
  }

  *#lead(action: () => Steps<void>, round: Round | undefined): Steps<void> {
    this.#running = true;
    try {
      yield* action();
      round?.ended.resolve();
    } catch (error) {
      round?.ended.reject(error);
      throw error;
    } finally {
      this.#end();
    }
  }

  #end(): void {
    const next = this.#next;
    const waiters = this.#waiters;
    this.#next = undefined;
    this.#waiters = [];
    this.#running = next !== undefined; // nobody may slip in before its leader resumes
    next?.begins.resolve();
    for (const resolve of waiters) resolve();
  }
}

class Round {
  members = 0;
  readonly begins = new Deferred();
  readonly ended = new Deferred();
}
