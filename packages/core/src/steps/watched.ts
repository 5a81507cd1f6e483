/** How a caller watches and ends long work. */

import { BlobstoreError } from '../units/error.js';

/** What of an `AbortSignal` is used here. */
export interface AbortSignalLike {
  readonly aborted: boolean;
  readonly reason?: unknown;
}

export interface Watched {
  /** Called after each cluster with the clusters done and to be done. */
  onProgress?: (done: number, total: number) => void;
  /** Ends the work with ECANCELED at the next cluster; the blob is usable, as far as it came. */
  signal?: AbortSignalLike;
}

/** ECANCELED when the work was aborted. */
export function throwIfAborted(watched: Watched | undefined): void {
  if (!watched?.signal?.aborted) return;
  throw new BlobstoreError('ECANCELED', 'the operation was aborted by its signal', { cause: watched.signal.reason });
}
