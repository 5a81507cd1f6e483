/**
 * The metadata port of channels on the metadata thread: direct function calls. Code on the metadata thread that serves
 * channels of other threads uses it, too.
 */

import type { Blob } from '../blob/blob.js';
import type { BlobRef, ChannelHost, MetadataPort } from '../channel/host.js';
import type { BlockDevice } from '../device/block-device.js';
import { freeUsedLock, leaveForDead, takeBackClaims } from '../metadata/dead-channel.js';
import { discardCluster, reclaimClusters } from '../metadata/discard-cluster.js';
import { type InsertionOutcome, insertCluster, insertClusters } from '../metadata/insert-cluster.js';
import type { WantedInsertion } from '../metadata/note-insertions.js';
import { releaseCluster } from '../metadata/release-cluster.js';
import type { ClaimedCluster } from '../shared/claim-cluster.js';
import { BLOB } from '../shared/layout.js';
import { raiseHighWater } from '../state/raise-marks.js';
import type { StoreState } from '../state/store-state.js';
import type { Steps } from '../steps/steps.js';
import { assert, BlobstoreError } from '../units/error.js';
import type { BlobCluster, MdPage } from '../units/units.js';

export class InlinePort implements MetadataPort {
  readonly #store: StoreState;

  constructor(store: StoreState) {
    this.#store = store;
  }

  insertCluster(slot: number, index: BlobCluster, claimed: ClaimedCluster): Steps<'inserted' | 'exists'> {
    return insertCluster(this.#store, blobOfSlot(this.#store, slot), index, claimed);
  }

  /** Makes several clusters, whose insertions arrived together, clusters of one open blob. */
  insertClusters(slot: number, wanted: readonly WantedInsertion[]): Steps<InsertionOutcome[]> {
    return insertClusters(this.#store, blobOfSlot(this.#store, slot), wanted);
  }

  raiseHighWater(cluster: number): Steps<void> {
    return raiseHighWater(this.#store, cluster);
  }

  discardCluster(slot: number, claimed: ClaimedCluster, written: boolean): Steps<void> {
    return discardCluster(this.#store, blobOfSlot(this.#store, slot), claimed, written);
  }

  releaseCluster(ref: BlobRef, index: BlobCluster): Steps<'done' | 'frozen' | 'locked'> {
    return releaseCluster(this.#store, blobOfRef(this.#store, ref), index);
  }

  reclaim(): Steps<boolean> {
    return reclaimClusters(this.#store);
  }

  drained(): void {
    this.#store.pokeDrain();
  }

  /** The device of the external clone in a slot, as the metadata thread opened it; undefined when there is none. */
  externalDevice(slot: number): BlockDevice | undefined {
    return externalDeviceOf(this.#store, slot);
  }

  /** Releases the used lock if the thread that had a row of the channel table died while it held the lock. */
  freeUsedLock(row: number): void {
    freeUsedLock(this.#store.shared, row);
  }

  /** Lets operations go on that wait for the dead thread of a row to leave a blob. */
  leaveForDead(row: number): void {
    leaveForDead(this.#store, row);
  }

  /** Releases what the dead thread of a row had claimed. No request of that thread may be in flight. */
  takeBackClaims(row: number): Steps<void> {
    return takeBackClaims(this.#store, row);
  }
}

/** Returns the host of a channel on the metadata thread. */
export function inlineHost(store: StoreState): ChannelHost {
  return {
    shared: store.shared,
    geometry: store.geometry,
    device: store.device,
    metadata: new InlinePort(store),
    row: store.shared.channels.claim(store.shared.threadId),
    isMetadataThread: true,
    channelOpsMax: store.channelOpsMax,
    externalDevice: (slot) => externalDeviceOf(store, slot),
  };
}

/** Returns the open blob of a channel's reference. EBADF when it is closed. */
function blobOfRef(store: StoreState, ref: BlobRef): Blob {
  const blob = findBySlot(store, ref.slot);
  if (blob?.generation !== ref.generation) throw new BlobstoreError('EBADF', 'the blob is closed: open it again');
  return blob;
}

function blobOfSlot(store: StoreState, slot: number): Blob {
  const blob = findBySlot(store, slot);
  assert(blob !== undefined, `no blob is open in slot ${slot}`);
  return blob;
}

function findBySlot(store: StoreState, slot: number): Blob | undefined {
  const blob = store.openBlobs.get(store.shared.blobs.load(slot, BLOB.ID_PAGE) as MdPage);
  return blob?.isOpen && blob.slot === slot ? blob : undefined;
}

function externalDeviceOf(store: StoreState, slot: number): BlockDevice | undefined {
  const blob = findBySlot(store, slot);
  return blob?.back?.kind === 'external' ? blob.back.device : undefined;
}
