/** How a caller follows long work, and ends it. */

/** How far long work has come, in bytes of data. */
export interface Progress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export interface LongWorkOptions {
  /**
   * Ends the work: it fails with ECANCELED at its next cluster, or at once while it waits for its turn. What was done
   * until then stays, and the blob is as usable as before.
   */
  readonly signal?: AbortSignal;
  /** Called on the calling thread after each cluster. What it throws ends the work (ECANCELED, with it as `cause`). */
  readonly onProgress?: (progress: Progress) => void;
}

export interface CopyOptions extends LongWorkOptions {
  /** Copies also onto a device that holds a store, which is lost. False unless given: then that is EEXIST. */
  readonly overwrite?: boolean;
}
