/**
 * Operations as steps: a generator that yields a promise where it must wait, and `undefined` where it may pause. One body of
 * code so serves synchronous callers, promises, and a simulation; and no promise is made where nothing has to be waited for.
 *
 * What another thread will do can be waited for in two ways: by a promise, or by stopping this thread. Steps yield such a
 * thing as a `Waitable`, and who runs them chooses.
 */

import type { MaybePromise } from '../device/block-device.js';
import { BlobstoreError } from '../units/error.js';

/** Something that another thread will do. One of the two methods is called, once. */
export interface Waitable<T> {
  promise(): Promise<T>;
  /** Stops this thread until it is done. Throws EBUSY where that would be for ever. */
  block(): T;
}

/** An operation under way. Run it by `run` or `runSync`, or as a part of another one by `yield*`. */
export type Steps<T> = Generator<Promise<unknown> | Waitable<unknown> | undefined, T, unknown>;

/** Marks a rejection as seen. */
function ignore(): undefined {
  return undefined;
}

/** Waits for another thread. */
export function* waitFor<T>(waitable: Waitable<T>): Steps<T> {
  return (yield waitable) as T;
}

/** Waits for what a device answered. */
export function* wait<T>(answer: MaybePromise<T>): Steps<T> {
  return answer instanceof Promise ? ((yield answer) as T) : answer;
}

/**
 * Runs an operation to its end on this thread, now; where it waits for another thread, this one stops.
 * @throws ENOTSUP when it would have to wait for this thread: its device is asynchronous, or another operation is in the way.
 */
export function runSync<T>(steps: Steps<T>): T {
  requireSteps(steps);
  let step = steps.next();
  while (!step.done) {
    if (step.value === undefined) {
      step = steps.next();
      continue;
    }
    let resume: unknown;
    try {
      resume = blockOn(step.value);
    } catch (error) {
      step = steps.throw(error);
      continue;
    }
    step = steps.next(resume);
  }
  return step.value;
}

function requireSteps(steps: unknown): void {
  const isGenerator = Object.prototype.toString.call(steps) === '[object Generator]';
  if (!isGenerator)
    throw new BlobstoreError('EINVAL', 'only steps can be run: pass what an operation of the engine answers');
}

function blockOn(waited: Promise<unknown> | Waitable<unknown>): unknown {
  if (!(waited instanceof Promise)) return waited.block();
  waited.catch(ignore); // nobody waits for it any more
  const reason = 'the device is asynchronous, or another operation holds the blob';
  throw new BlobstoreError('ENOTSUP', `a synchronous call would have to wait: ${reason}; use the promise form`);
}

/** How long an operation may run before other work of its thread gets a turn, in milliseconds. */
const SLICE_MS = 2;

/** Gives the event loop a turn, or does nothing while it is not time for one. */
export type Pause = () => MaybePromise<void>;
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

/**
 * Runs an operation to its end, waiting where it waits. At its pauses the event loop gets a turn once `SLICE_MS` have passed.
 * @param pause - how to give the event loop a turn; a simulation has its own
 */
export async function run<T>(steps: Steps<T>, pause?: Pause): Promise<T> {
  requireSteps(steps);
  if (pause !== undefined && typeof pause !== 'function')
    throw new BlobstoreError('EINVAL', 'a pause must be a function');
  return runFrom(steps, steps.next(), pause);
}

/** As `run`, but an operation that needs not wait ends in this same call, and no promise is made. */
export function runNowOrLater<T>(steps: Steps<T>): MaybePromise<T> {
  const first = steps.next();
  return first.done ? first.value : runFrom(steps, first);
}

type Step<T> = IteratorResult<Promise<unknown> | Waitable<unknown> | undefined, T>;

async function runFrom<T>(steps: Steps<T>, first: Step<T>, pause?: Pause): Promise<T> {
  let sliceEnd = 0;
  let step = first;
  while (!step.done) {
    let resume: unknown;
    try {
      if (step.value !== undefined) resume = await (step.value instanceof Promise ? step.value : step.value.promise());
      else if (pause) {
        const turn = pause();
        if (turn !== undefined) await turn;
      } else {
        const now = performance.now();
        if (sliceEnd === 0) sliceEnd = now + SLICE_MS;
        if (now >= sliceEnd) {
          await nextTurn();
          sliceEnd = performance.now() + SLICE_MS;
        }
      }
    } catch (error) {
      step = steps.throw(error);
      continue;
    }
    step = steps.next(resume);
  }
  return step.value;
}

/** Operations one after another, each of them whether those before have failed or not. The first error is kept. */
export class Attempts {
  #failure: { readonly error: unknown } | undefined;

  *attempt(begin: () => Steps<void>): Steps<void> {
    try {
      yield* begin();
    } catch (error) {
      this.#failure ??= { error };
    }
  }

  /** Throws the first error. */
  end(): void {
    if (this.#failure) throw this.#failure.error;
  }
}

/** Device operations that may be under way together. The first error is kept, and thrown when all have ended. */
export class Batch {
  readonly #pending: Promise<void>[] = [];
  #failed = false;
  #error: unknown;

  /** Starts an operation, unless one before it has failed already. */
  add(start: () => MaybePromise<void>): void {
    if (this.#failed) return;
    try {
      const answer = start();
      if (answer instanceof Promise) this.#pending.push(answer.catch((error) => this.#fail(error)));
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Waits for all operations. */
  *close(): Steps<void> {
    if (this.#pending.length > 0) yield Promise.all(this.#pending);
    if (this.#failed) throw this.#error;
  }

  #fail(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#error = error;
  }
}

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

/** A promise that is resolved or rejected from outside. */
export class Deferred {
  resolve!: () => void;
  reject!: (error: unknown) => void;
  readonly promise = new Promise<void>((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });

  constructor() {
    this.promise.catch(ignore); // a round may have no members but its leader
  }
}
