/** Options to follow and to abort long operations. */

import type { AbortableOptions } from './abort.js';

/** The progress of a long operation, in bytes of data. */
export interface Progress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export interface LongWorkOptions extends AbortableOptions {
  /** Aborts the operation before its next cluster. What was done until then stays, and the blob remains usable. */
  readonly signal?: AbortSignal;
  /**
   * Called on the calling thread after each cluster. If it throws, the operation fails with ECANCELED and that error as
   * `cause`.
   */
  readonly onProgress?: (progress: Progress) => void;
}

export interface CopyOptions extends LongWorkOptions {
  /**
   * True: copies only the clusters that the blob itself has, without those that it reads from its parent, and leaves the
   * rest of the device as it is (SPDK's shallow copy). Default: false.
   */
  readonly own?: boolean;
  /** True: also copies to a device that holds a store, which is lost. Default false: fails with EEXIST there. */
  readonly overwrite?: boolean;
}
