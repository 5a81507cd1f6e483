/** A store that is open on another thread, as a thread sees it that has attached. */

import type { BlobRef, Channel } from '@blobyard/core';
import type { Blob } from './blob.js';
import type { BlobAddress, CreateBlobOptions, OpenBlobOptions, Store } from './store.js';

/**
 * A blob, open on a thread that is attached to its store. Writes of different bytes of one io unit never disturb each other as long
 * as they are made by the same thread; threads that share an io unit have to agree between themselves. What other threads do to the
 * blob (resizes, snapshots, closing) holds here from the moment at which it was done; `name` is as this thread was told last.
 *
 * `close` and `closeSync` give the blob back. When the device fails (EIO, ENOSPC) it is still this thread's, and a second call, or
 * `detach`, tries again. EIO also when the store has failed.
 */
export interface AttachedBlob extends Blob, BlobRef {}

/**
 * A thread's way into a store that is open on another thread: a `Store`, whose metadata that thread has. All methods belong to the
 * thread that attached. `destroy` and `engine` are ENOTSUP: the store is its opener's. The `…Sync` forms fail with EBUSY where the
 * answer would have to wait for operations in promise form of this same thread. No events come here: listen on the thread that opened the store.
 */
export interface AttachedStore extends Store {
  /** The engine's own channel of this thread, in io units; any `AttachedBlob` is a blob for it. */
  readonly channel: Channel;
  /** True once `detach` was called: nothing new begins. */
  readonly isDetached: boolean;
  /** Bytes of an io unit: reads and writes of whole ones take no detour. */
  readonly ioUnitBytes: number;
  readonly clusterSizeBytes: number;

  create(options?: CreateBlobOptions): Promise<AttachedBlob>;
  open(blob: BlobAddress, options?: OpenBlobOptions): Promise<AttachedBlob>;
  openSync(blob: BlobAddress, options?: OpenBlobOptions): AttachedBlob;
  /** As `openSync`. */
  blob(id: bigint): AttachedBlob;

  /**
   * Closes the blobs, waits for what is under way, and lets go of the store; once that is done a second call answers as the first.
   * A thread that ends without it is detached all the same, once it has ended.
   * @throws what closing the blobs throws (EIO, ENOSPC), and closing the device; all blobs have been tried then, nothing new
   * begins, and a second call goes on. When the store has failed while blobs were open: EIO, though all is let go.
   */
  detach(): Promise<void>;
  /** As `detach`; the store stays open. */
  close(): Promise<void>;
}
