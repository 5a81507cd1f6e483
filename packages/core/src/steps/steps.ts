/**
 * Operations as steps: generators that yield a promise where they must wait, and `undefined` where they may pause. So
 * one implementation serves synchronous callers, promises and simulations, and no promise is made where there is
 * nothing to wait for.
 *
 * There are two ways to wait for another thread: by a promise, or by blocking this thread. Steps that wait for another
 * thread yield a `Waitable`. The function that runs them (`run.ts`) decides which way is taken.
 */

/** The result of an operation: a value if it has ended already, otherwise a promise. */
export type MaybePromise<T> = T | Promise<T>;

/** An action of another thread that can be waited for. The runner calls one of the two methods, once. */
export interface Waitable<T> {
  /** Waits without blocking this thread. */
  promise(): Promise<T>;
  /** Blocks this thread until the action is done. Throws EBUSY where that would be a deadlock. */
  block(): T;
}

/** An operation in progress. Run it by `run` or `runSync`, or as a part of another one by `yield*`. */
export type Steps<T> = Generator<Promise<unknown> | Waitable<unknown> | undefined, T, unknown>;

/**
 * An operation that has ended already. A function returns it where there is nothing to wait for, and saves making a
 * generator. All callers share this one object: running an ended generator again does nothing.
 */
export const ENDED: Steps<undefined> = waitForAnswer(undefined);
ENDED.next();

/** Waits for an action of another thread. */
export function* waitFor<T>(waitable: Waitable<T>): Steps<T> {
  return (yield waitable) as T;
}

/** Waits for the result of a device operation; no wait if it is not a promise. */
export function wait<T>(answer: MaybePromise<T>): Steps<T> {
  return answer === undefined ? (ENDED as Steps<T>) : waitForAnswer(answer);
}

function* waitForAnswer<T>(answer: MaybePromise<T>): Steps<T> {
  return answer instanceof Promise ? ((yield answer) as T) : answer;
}
