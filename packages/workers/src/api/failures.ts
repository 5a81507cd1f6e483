/** Errors of the API. Users get only `BlobstoreError`s, and the error of an abort. Any other error is a bug of this project. */

import { BlobstoreError, coded as codedByEngine, type InvariantError } from '@blobyard/core';

/** The error of a call that its signal has aborted. It has the name, the code and the cause of Node's own. */
class AbortError extends Error {
  readonly code = 'ABORT_ERR';

  constructor(reason: unknown) {
    super('the operation was aborted by its signal', { cause: reason });
    this.name = 'AbortError';
  }
}

/** As `coded` of the engine. The error of an abort is returned as it is. */
export function coded(error: unknown, doing: string): BlobstoreError | InvariantError | AbortError {
  return error instanceof AbortError ? error : codedByEngine(error, doing);
}

/** Returns the error of an operation that its signal has aborted: see `AbortableOptions`. */
export function aborted(reason: unknown): Error {
  return new AbortError(reason);
}

/** Returns the API's error if this is the engine's error of an abort by this signal; otherwise the error itself. */
export function abortedIfBy(signal: AbortSignal | undefined, error: unknown): unknown {
  const isAbort = error instanceof BlobstoreError && error.code === 'ECANCELED' && signal?.aborted;
  return isAbort && error.cause === signal.reason ? aborted(signal.reason) : error;
}

/** Throws the error of an abort if the signal is aborted already. */
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
