/** Errors of the API. Users get only `BlobstoreError`s; any other error is a bug of this project. */

import { BlobstoreError } from '@blobyard/core';

export { coded } from '@blobyard/core';

/** Returns the error of an operation that its signal has aborted: ECANCELED, with the reason as its cause. */
export function aborted(reason: unknown): BlobstoreError {
  return new BlobstoreError('ECANCELED', 'the operation was aborted by its signal', { cause: reason });
}

/** Throws ECANCELED if the signal is aborted already. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw aborted(signal.reason);
}

/** Returns the error of a call that would write to a store which was opened with `readOnly`: EPERM. */
export function openedReadOnly(): BlobstoreError {
  return new BlobstoreError('EPERM', 'the store was opened for reading only: open it without readOnly to change it');
}

/** Calls a user's callback. If it throws, throws ECANCELED with that error as the cause. */
export function callUser<T extends unknown[]>(name: string, callback: (...given: T) => void, ...given: T): void {
  try {
    callback(...given);
  } catch (cause) {
    throw new BlobstoreError('ECANCELED', `${name} threw, which ends the operation`, { cause });
  }
}
