/** Progress reports and cancellation of long operations. */

import { BlobstoreError } from '../units/error.js';

/** The part of `AbortSignal` that is used here. */
export interface AbortSignalLike {
  readonly aborted: boolean;
  readonly reason?: unknown;
}

/** Options of long operations. */
export interface Watched {
  /** Called after each cluster, with the number of clusters done and the number of clusters to do in all. */
  onProgress?: (done: number, total: number) => void;
  /**
   * Aborts the operation with ECANCELED before the next cluster. The blob stays usable, with the clusters done so far.
   */
  signal?: AbortSignalLike;
}

/** Throws ECANCELED when the operation was aborted. */
export function throwIfAborted(watched: Watched | undefined): void {
  if (!watched?.signal?.aborted) return;
  throw new BlobstoreError('ECANCELED', 'the operation was aborted by its signal', { cause: watched.signal.reason });
}
