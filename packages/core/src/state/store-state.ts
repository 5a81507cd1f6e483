/** What the metadata thread knows of an open store. Operations on metadata work on it. */

import type { Blob } from '../blob/blob.js';
import type { BlockDevice, DeviceChannel } from '../device/block-device.js';
import type { PageRange } from '../format/super-block.js';
import type { BitArray } from '../shared/bit-array.js';
import type { SharedStore } from '../shared/shared-store.js';
import { Coalescer } from '../steps/coalescer.js';
import type { Deferred } from '../steps/deferred.js';
import { type MaybePromise, type Steps, type Waitable, wait } from '../steps/steps.js';
import { BlobstoreError } from '../units/error.js';
import type { Geometry } from '../units/geometry.js';
import { type BlobId, type DeviceCluster, INVALID_BLOB_ID, type MdPage } from '../units/units.js';
import type { DamagedBlob } from './damage.js';
import type { DataPath } from './data-path.js';
import type { InsertionLog } from './insertion-log.js';
import { PageBuffers } from './page-buffers.js';
import type { RegionReader } from './region-reader.js';
import { SnapshotTree } from './snapshot-tree.js';

/**
 * What survives what. `power-loss`: what was synced or flushed survives a power cut, and the metadata of new clusters waits
 * for the next sync or flush. `process-crash`: every write goes out at once, in the specification's order and without
 * barriers; all that was acknowledged survives a killed process, nothing is promised for a power cut before a flush.
 */
export type Durability = 'power-loss' | 'process-crash';

/** What is known of a blob when its external snapshot is to be opened. */
export interface ExternalSnapshotRequest {
  blobId: BlobId;
  /** The external snapshot's id, as given when the blob was created. */
  snapshotId: Uint8Array;
  /** As given when the store was opened. */
  storeContext: unknown;
  /** As given when the blob was opened. */
  blobContext: unknown;
}

/**
 * Opens an external snapshot's device, read-only. Answers null to open the blob without it: reads of what it would have
 * answered then fail with EIO, until a device is set.
 */
export type OpenExternalSnapshot = (request: ExternalSnapshotRequest) => MaybePromise<BlockDevice | null>;

/** Clusters and pages that more than one blob names: of a snapshot that was being made or deleted, and of its clone. */
export interface SharedByBlobs {
  clusters: BitArray;
  pages: BitArray;
}

/** Somebody opens a blob, and for that loads it and the snapshots behind it. */
export interface Loading {
  /** The first pages of what is being loaded. */
  readonly pages: Set<MdPage>;
  readonly ended: Deferred;
  /** The first page of a blob that somebody else loads, and that this waits for. */
  waitsFor: MdPage | undefined;
}

export interface StoreStateFields {
  device: BlockDevice;
  deviceChannel: DeviceChannel;
  shared: SharedStore;
  geometry: Geometry;
  usedBlobIds: BitArray;
  bstype: Uint8Array;
  superBlobId: BlobId;
  clean: boolean;
  clusterMask: PageRange;
  insertionLog: InsertionLog | undefined;
  durability: Durability;
  /** See `StoreOptions.highWater`. */
  keepsHighWater: boolean;
  channelOpsMax: number;
  openExternal: OpenExternalSnapshot | undefined;
  externalContext: unknown;
}

export class StoreState {
  readonly device: BlockDevice;
  /** The metadata thread's own channel to the device. */
  readonly deviceChannel: DeviceChannel;
  readonly shared: SharedStore;
  readonly geometry: Geometry;
  /** Pages where a blob's chain begins. */
  readonly usedBlobIds: BitArray;
  bstype: Uint8Array;
  superBlobId: BlobId;
  /** The super block on disk says "clean": it must be told otherwise before metadata changes. */
  clean: boolean;
  /** Where the used-cluster mask lies. */
  readonly clusterMask: PageRange;
  /** What maps on disk do not have yet; undefined on a device that does not keep what a process leaves. */
  readonly insertionLog: InsertionLog | undefined;
  readonly highWaterWrites = new Coalescer();
  /** Changes of the super block. */
  readonly superUpdates = new Coalescer();
  /** The mark is never below what was used when the store was opened: it may be given back, and not be cleared yet. */
  highWaterMin = 0;
  readonly durability: Durability;
  readonly keepsHighWater: boolean;
  /** Requests that a channel takes at once. */
  readonly channelOpsMax: number;
  readonly openExternal: OpenExternalSnapshot | undefined;
  readonly externalContext: unknown;

  readonly openBlobs = new Map<MdPage, Blob>();
  /** Blobs that are about to be open, by their first page. */
  readonly loading = new Map<MdPage, Loading>();
  /** Blobs whose deletion began on disk and failed before its end; deleting them again, or unloading, goes on with it. */
  readonly unfinishedDeletes = new Map<MdPage, Blob>();
  /** By a blob's first page: what a failed operation has left to be done on disk before the blob changes there. */
  readonly unsettled = new Map<MdPage, () => Steps<void>>();
  /** Clusters that nothing names, taken because they could not be cleared. */
  unclearedClusters: DeviceCluster[] = [];
  readonly snapshots = new SnapshotTree();
  readonly pageBuffers = new PageBuffers();
  /** The channels of this thread. */
  readonly channels = new Set<DataPath>();
  /** Blobs that could not be opened when the store was loaded. */
  readonly damaged: DamagedBlob[] = [];
  /** Those of them that were set aside, by their first page: they cannot be opened as long as the store is open. */
  readonly setAside = new Map<MdPage, DamagedBlob>();
  /** A blob that was set aside may be a clone of any snapshot: then no blob is deleted that could be the one. */
  hidesParents = false;
  /** Pages that are never given back: a new blob there would be taken for a lost one that others name. */
  lostPages: ReadonlySet<MdPage> = new Set();
  /** False while a load still finds out which clusters are taken. */
  knowsUsed = true;
  /** True while a store is opened that was not closed: what a killed process leaves is no damage in it. */
  isRecovering = false;
  /** What has read metadata pages ahead, while a load reads all of them. */
  regionReader: RegionReader | undefined;
  /** What recovery found to be of more than one blob, until that has been set right; undefined after a clean load. */
  sharedByBlobs: SharedByBlobs | undefined;
  /** Clusters that damaged blobs name and the store does not have; like the reference, it does not call so many free. */
  missingClusterCount = 0;
  /** Called after clusters were taken, or given back. */
  onFreeChange: (() => void) | undefined;
  #closed = false;
  #drainWaiters: (() => void)[] = [];

  constructor(fields: StoreStateFields) {
    this.device = fields.device;
    this.deviceChannel = fields.deviceChannel;
    this.shared = fields.shared;
    this.geometry = fields.geometry;
    this.usedBlobIds = fields.usedBlobIds;
    this.bstype = fields.bstype;
    this.superBlobId = fields.superBlobId ?? INVALID_BLOB_ID;
    this.clean = fields.clean;
    this.clusterMask = fields.clusterMask;
    this.insertionLog = fields.insertionLog;
    this.durability = fields.durability;
    this.keepsHighWater = fields.keepsHighWater;
    this.channelOpsMax = fields.channelOpsMax;
    this.openExternal = fields.openExternal;
    this.externalContext = fields.externalContext;
  }

  /** Bytes of the device now. */
  get deviceBytes(): number {
    return this.device.blockCount * this.device.blockLengthBytes;
  }

  /** Every metadata write goes out at once. */
  get writesThrough(): boolean {
    return this.durability === 'process-crash';
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** EBADF once the store is unloaded or destroyed. */
  requireOpen(): void {
    if (this.#closed) throw new BlobstoreError('EBADF', 'the store is closed: open it again first');
  }

  markClosed(): void {
    this.#closed = true;
    this.shared.markClosed();
  }

  /** Makes what was written so far durable, where the durability asks for it. */
  *barrier(): Steps<void> {
    if (this.durability === 'power-loss') yield* wait(this.deviceChannel.flush());
  }

  /**
   * Until an operation has left a frozen blob. This thread must not stop for that: whoever is inside may wait for it, to have
   * a cluster inserted.
   */
  drained(): Waitable<void> {
    return {
      promise: () => new Promise((resolve) => this.#drainWaiters.push(resolve)),
      block: () => {
        const advice = 'use the promise form of this call';
        throw new BlobstoreError(
          'EBUSY',
          `a synchronous call would have to wait for operations in the blob: ${advice}`,
        );
      },
    };
  }

  /** An operation has left a frozen blob on this thread. */
  pokeDrain(): void {
    const waiters = this.#drainWaiters;
    this.#drainWaiters = [];
    for (const resolve of waiters) resolve();
  }
}
