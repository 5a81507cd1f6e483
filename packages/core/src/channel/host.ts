/** What a channel needs from its store, on the metadata thread and on other threads. */

import type { BlockDevice } from '../device/block-device.js';
import type { ClaimedCluster } from '../shared/claim-cluster.js';
import type { SharedStore } from '../shared/shared-store.js';
import type { MaybePromise, Steps } from '../steps/steps.js';
import type { Geometry } from '../units/geometry.js';
import type { BlobCluster } from '../units/units.js';

/** A reference to an open blob. */
export interface BlobRef {
  /** The slot of its block in shared memory. */
  readonly slot: number;
  /** The generation that the block must have; if it has another one, the blob was closed. */
  readonly generation: number;
}

/**
 * The requests of a channel to the metadata thread. A channel on another thread waits for the replies: in promise-form
 * operations by a promise, in synchronous ones by blocking its thread.
 */
export interface MetadataPort {
  /**
   * Inserts a claimed cluster into the map of a blob. Returns `exists` if the map has another cluster there already;
   * the caller then still owns the claim.
   * @param meanwhile - called while the metadata thread, if that is another thread, handles the request; it must not
   * throw
   */
  insertCluster(
    slot: number,
    index: BlobCluster,
    claimed: ClaimedCluster,
    meanwhile?: () => void,
  ): Steps<'inserted' | 'exists'>;
  /** Raises the high-water mark on disk above a claimed cluster, which may be given data then. */
  raiseHighWater(cluster: number): Steps<void>;
  /** Clears a claimed cluster if it was written, and releases the claim. */
  discardCluster(slot: number, claimed: ClaimedCluster, written: boolean): Steps<void>;
  /**
   * Unmaps a whole cluster of a blob, and frees it if no data behind the blob would show through. Does nothing and
   * returns `frozen` when another operation has frozen the blob, `locked` when another operation relies on its
   * clusters. Throws EBADF when the blob was closed.
   */
  releaseCluster(ref: BlobRef, index: BlobCluster): Steps<'done' | 'frozen' | 'locked'>;
  /** Frees clusters that only wait for a sync. Returns false when there are none. */
  reclaim(): Steps<boolean>;
  /** Reports that an operation has left a blob that is frozen. */
  drained(): void;
}

/** The store of a channel, on the thread of the channel. */
export interface ChannelHost {
  readonly shared: SharedStore;
  readonly geometry: Geometry;
  readonly device: BlockDevice;
  readonly metadata: MetadataPort;
  /** The row of the channel table. The channel owns it, and frees it when it is closed. */
  readonly row: number;
  /** True when the channel is on the metadata thread. */
  readonly isMetadataThread: boolean;
  /**
   * True while another channel of this thread to the same store has operations inside blobs; absent: there is no other.
   */
  isInsideElsewhere?(): boolean;
  /** The most promise-form operations of a channel at one time. */
  readonly channelOpsMax: number;
  /**
   * The device behind an external clone, opened for this thread; undefined when there is none. A promise if it must be
   * opened first.
   */
  externalDevice(slot: number): MaybePromise<BlockDevice | undefined>;
}
