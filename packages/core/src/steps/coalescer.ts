import { Deferred } from './deferred.js';
import type { Steps } from './steps.js';

/**
 * Keeps runs of an action from overlapping: they run one after another. All callers that arrive during a run share the
 * next one, as in group commit. Single-threaded.
 */
export class Coalescer {
  #running = false;
  #next: Round | undefined;
  #waiters: (() => void)[] | undefined;

  /** True while a run is under way. */
  get isRunning(): boolean {
    return this.#running;
  }

  /**
   * Waits until a run that began after this call has ended. Throws the error of that run, if it failed. The caller must
   * run the steps immediately: this call has already checked whether a run is under way.
   */
  run(action: () => Steps<void>): Steps<void> {
    return this.#running ? this.#join(action) : this.#lead(action, undefined);
  }

  /**
   * Runs `action` when no other run is under way. This run is not shared: callers that arrive during it wait for
   * another one.
   */
  *alone<T>(action: () => Steps<T>): Steps<T> {
    while (this.#running) {
      this.#waiters ??= [];
      const waiters = this.#waiters;
      yield new Promise<void>((resolve) => waiters.push(resolve));
    }
    this.#running = true;
    try {
      return yield* action();
    } finally {
      this.#end();
    }
  }

  /** Waits for the next run, or leads it. */
  *#join(action: () => Steps<void>): Steps<void> {
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
      this.#next = undefined; // a synchronous leader cannot wait: its round fails, and the next caller begins a new one
      round.ended.reject(error);
      throw error;
    }
    yield* this.#lead(action, round);
  }

  /** Runs `action` for all members of a round. */
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
    this.#waiters = undefined;
    this.#running = next !== undefined; // no other run may start before the leader of the next round resumes
    next?.begins.resolve();
    for (const resolve of waiters ?? []) resolve();
  }
}

/** The callers that share the next run. The first of them is the leader, which runs the action. */
class Round {
  members = 0;
  readonly begins = new Deferred();
  readonly ended = new Deferred();
}
