/**
 * Operations as steps: a generator that yields a promise where it must wait, and `undefined` where it may pause. One body of
 * code so serves synchronous callers, promises, and a simulation; and no promise is made where nothing has to be waited for.
 *
 * What another thread will do can be waited for in two ways: by a promise, or by stopping this thread. Steps yield such a
 * thing as a `Waitable`, and who runs them (`run.ts`) chooses.
 */

/** What an operation gives back: nothing if it is done, a promise if it will be. */
export type MaybePromise<T> = T | Promise<T>;

/** Something that another thread will do. One of the two methods is called, once. */
export interface Waitable<T> {
  promise(): Promise<T>;
  /** Stops this thread until it is done. Throws EBUSY where that would be for ever. */
  block(): T;
}

/** An operation under way. Run it by `run` or `runSync`, or as a part of another one by `yield*`. */
export type Steps<T> = Generator<Promise<unknown> | Waitable<unknown> | undefined, T, unknown>;

/** Waits for another thread. */
export function* waitFor<T>(waitable: Waitable<T>): Steps<T> {
  return (yield waitable) as T;
}

/** Waits for what a device answered. */
export function* wait<T>(answer: MaybePromise<T>): Steps<T> {
  return answer instanceof Promise ? ((yield answer) as T) : answer;
}
