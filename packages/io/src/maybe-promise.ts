/** For code that serves synchronous and asynchronous devices alike. */

import type { MaybePromise } from '@blobyard/core';

/** Calls `next` after `result`: at once if `result` is not a promise, so that synchronous code stays synchronous. */
export function afterwards<T>(result: MaybePromise<void>, next: () => MaybePromise<T>): MaybePromise<T> {
  return result instanceof Promise ? result.then(next) : next();
}
