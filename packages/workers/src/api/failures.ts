/** Whatever goes wrong reaches the user as a `BlobstoreError`; only our own bugs do not. */

import { BlobstoreError } from '@blobyard/core';

export { coded } from '@blobyard/core';

export function aborted(reason: unknown): BlobstoreError {
  return new BlobstoreError('ECANCELED', 'the operation was aborted by its signal', { cause: reason });
}

/** ECANCELED when the signal says so already. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw aborted(signal.reason);
}

/** Runs a user's callback; what it throws becomes ECANCELED, with that as its cause. */
export function callUser<T extends unknown[]>(name: string, callback: (...given: T) => void, ...given: T): void {
  try {
    callback(...given);
  } catch (cause) {
    throw new BlobstoreError('ECANCELED', `${name} threw, which ends the operation`, { cause });
  }
}
