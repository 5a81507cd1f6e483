/** The API of a thread that has attached to a store which is open on another thread. */

import type { BlobRef, Channel } from '@blobyard/core';
import type { Blob } from './blob.js';
import type { BlobAddress, CreateBlobOptions, OpenBlobOptions, Store } from './store.js';

/**
 * A blob that is open on an attached thread.
 *
 * Writes to different bytes of one io unit are safe if the same thread makes them. Threads that write to the same io
 * unit must coordinate between themselves. Changes that other threads make to the blob (resizes, snapshots, closing)
 * take effect here at once. Only `name` may be out of date: it is the last name that the metadata thread has sent to
 * this thread.
 *
 * `close` and `closeSync` release the blob. If they fail with EIO or ENOSPC because of the device, the blob stays open
 * on this thread: call them again, or call `detach`. They also fail with EIO if the store has failed.
 */
export interface AttachedBlob extends Blob, BlobRef {}

/**
 * The `Store` of a thread that has attached to a store which is open on another thread. The metadata stays on the
 * metadata thread of that store. All methods must be called on the thread that attached.
 *
 * `destroy` and `engine` fail with ENOTSUP: only the thread that opened the store can have them. The `…Sync` forms fail
 * with EBUSY if they would have to wait for promise-form operations of this same thread. An attached store emits no
 * events: listen on the thread that opened the store.
 */
export interface AttachedStore extends Store {
  /** The engine's channel of this thread. Offsets and counts are io units. It takes any `AttachedBlob` as a blob. */
  readonly channel: Channel;
  /** True once `detach` was called. No new operation can begin. */
  readonly isDetached: boolean;
  /** Bytes of an io unit. Reads and writes of whole io units are fastest. */
  readonly ioUnitBytes: number;
  /** Bytes of a cluster. */
  readonly clusterSizeBytes: number;

  create(options?: CreateBlobOptions): Promise<AttachedBlob>;
  open(blob: BlobAddress, options?: OpenBlobOptions): Promise<AttachedBlob>;
  openSync(blob: BlobAddress, options?: OpenBlobOptions): AttachedBlob;
  /** Same as `openSync`. */
  blob(id: bigint): AttachedBlob;

  /**
   * Closes the blobs of this thread, waits for operations under way, and detaches from the store. After a success,
   * further calls do nothing. A thread that ends without calling `detach` is detached after it has ended.
   * @throws the error of closing a blob (EIO, ENOSPC), or of closing the device. Before it throws, it tries to close
   * all blobs. No new operation can begin then; call `detach` again to close the rest. EIO if the store has failed
   * while blobs were open; everything is released nevertheless.
   */
  detach(): Promise<void>;
  /** Same as `detach`. The store itself stays open. */
  close(): Promise<void>;
}
