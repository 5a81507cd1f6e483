/** What a channel needs of the store that it belongs to, wherever the metadata thread is. */

import type { BlockDevice } from '../device/block-device.js';
import type { ClaimedCluster } from '../shared/claim-cluster.js';
import type { SharedStore } from '../shared/shared-store.js';
import type { MaybePromise, Steps } from '../steps/steps.js';
import type { Geometry } from '../units/geometry.js';
import type { BlobCluster } from '../units/units.js';

/** An open blob as channels know it. */
export interface BlobRef {
  /** Its block in shared memory. */
  readonly slot: number;
  /** What the block's generation must be; otherwise the blob was closed meanwhile. */
  readonly generation: number;
}

/**
 * The metadata thread, as a channel asks it. A channel on another thread waits for the answers of its steps by a promise or by
 * stopping its thread, as the operation was called.
 */
export interface MetadataPort {
  /**
   * Makes a claimed cluster part of a blob; `exists` when another one was faster, then the claim is still the caller's.
   * @param meanwhile - what this thread can do while the metadata thread is about it, if that is another one; it does not throw
   */
  insertCluster(
    slot: number,
    index: BlobCluster,
    claimed: ClaimedCluster,
    meanwhile?: () => void,
  ): Steps<'inserted' | 'exists'>;
  /** Makes the high-water mark on disk higher than a claimed cluster, which may be given data then. */
  raiseHighWater(cluster: number): Steps<void>;
  /** Clears a claimed cluster if it was written, and gives the claim back. */
  discardCluster(slot: number, claimed: ClaimedCluster, written: boolean): Steps<void>;
  /**
   * Unmaps a whole cluster of a blob, and gives it back if nothing behind it would show through. Answers `frozen` or `locked`,
   * with nothing done, when another operation has the blob frozen, or counts on its clusters. EBADF when it was closed.
   */
  releaseCluster(ref: BlobRef, index: BlobCluster): Steps<'done' | 'frozen' | 'locked'>;
  /** Gives back clusters that only wait for a sync; answers whether there were any. */
  reclaim(): Steps<boolean>;
  /** An operation has left a blob that is frozen. */
  drained(): void;
}

export interface ChannelHost {
  readonly shared: SharedStore;
  readonly geometry: Geometry;
  readonly device: BlockDevice;
  readonly metadata: MetadataPort;
  /** The channel's row in the channel table: the channel's from now on, which releases it. */
  readonly row: number;
  /** The channel lives on the metadata thread. */
  readonly isMetadataThread: boolean;
  /** Asynchronous operations that a channel takes at once. */
  readonly channelOpsMax: number;
  /** The device behind an external clone on this thread; undefined when there is none. A promise where it must be opened first. */
  externalDevice(slot: number): MaybePromise<BlockDevice | undefined>;
}
