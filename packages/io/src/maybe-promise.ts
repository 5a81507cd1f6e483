/** For code that serves synchronous and asynchronous devices alike. */

import type { MaybePromise } from '@blobyard/core';

/** Calls `next` when `result` is done: at once if it is not a promise, so that what is synchronous stays so. */
export function afterwards<T>(result: MaybePromise<void>, next: () => MaybePromise<T>): MaybePromise<T> {
  return result instanceof Promise ? result.then(next) : next();
}
