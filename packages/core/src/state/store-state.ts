/** The state of an open store on the metadata thread. Metadata operations work on it. */

import type { Blob } from '../blob/blob.js';
import type { ClosedBlob } from '../blob/blob-summary.js';
import { PageMap } from '../blob/page-map.js';
import type { BlockDevice, DeviceChannel } from '../device/block-device.js';
import type { PageRange } from '../format/super-block.js';
import type { BitArray } from '../shared/bit-array.js';
import type { SharedStore } from '../shared/shared-store.js';
import { Coalescer } from '../steps/coalescer.js';
import type { Deferred } from '../steps/deferred.js';
import { ENDED, type MaybePromise, type Steps, type Waitable } from '../steps/steps.js';
import { BlobstoreError } from '../units/error.js';
import type { Geometry } from '../units/geometry.js';
import { type BlobId, type DeviceCluster, INVALID_BLOB_ID, type MdPage } from '../units/units.js';
import type { DamagedBlob } from './damage.js';
import type { DataPath } from './data-path.js';
import { DeviceFlushes } from './device-flushes.js';
import type { InsertionLog } from './insertion-log.js';
import { PageBuffers } from './page-buffers.js';
import type { PagesAhead } from './pages-ahead.js';
import type { RegionReader } from './region-reader.js';
import { SnapshotTree } from './snapshot-tree.js';

/**
 * What survives a crash.
 * - `power-loss`: what was synced or flushed survives a power cut. The metadata of new clusters is written at the next
 *   sync or flush.
 * - `process-crash`: every metadata write is issued at once, in SPDK's order, without write barriers. All acknowledged
 *   writes survive a killed process. After a power cut, only what was flushed is promised.
 */
export type Durability = 'power-loss' | 'process-crash';

/** The arguments of the callback that opens an external snapshot. */
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
 * Opens the device of an external snapshot, read-only. Returns null to open the blob without it: reads that need it
 * then fail with EIO, until a device is set.
 */
export type OpenExternalSnapshot = (request: ExternalSnapshotRequest) => MaybePromise<BlockDevice | null>;

/** Clusters and pages that two blobs name: a snapshot that was being created or deleted, and its clone. */
export interface SharedByBlobs {
  clusters: BitArray;
  pages: BitArray;
}

/** An open of a blob that is under way. It loads the blob and the snapshots behind it. */
export interface Loading {
  /** The first pages of the blobs that it loads. */
  readonly pages: MdPage[];
  readonly ended: Deferred;
  /** The first page of a blob that another open loads, and that this one waits for. */
  waitsFor: MdPage | undefined;
}

/** The initial state of a store. */
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
  /** The high-water mark of metadata pages that is on disk. */
  mdPageMark: number;
  /** The size to which the store can grow, in bytes. */
  growLimitBytes: number;
  channelOpsMax: number;
  openExternal: OpenExternalSnapshot | undefined;
  externalContext: unknown;
}

/** The state of an open store. Metadata thread. */
export class StoreState {
  readonly device: BlockDevice;
  /** The metadata thread's own channel to the device. */
  readonly deviceChannel: DeviceChannel;
  /** The flushes of the device, for all of the store. */
  readonly flushes: DeviceFlushes;
  readonly shared: SharedStore;
  readonly geometry: Geometry;
  /** The pages at which the chain of a blob begins. */
  readonly usedBlobIds: BitArray;
  bstype: Uint8Array;
  superBlobId: BlobId;
  /** The super block on disk says "clean". That must be changed before any metadata is (`markDirty`). */
  clean: boolean;
  /** Where the used-cluster mask lies. */
  readonly clusterMask: PageRange;
  /**
   * The log of insertions that maps on disk do not have yet; undefined on a device whose cache is not known to outlive
   * the process.
   */
  readonly insertionLog: InsertionLog | undefined;
  /** Serializes writes of the high-water marks. */
  readonly highWaterWrites = new Coalescer();
  /** Serializes changes of the super block. */
  readonly superUpdates = new Coalescer();
  /**
   * The high-water mark of clusters is never written below this one. It is above all clusters that were used when the
   * store was opened, because these can be freed, and then be free without being cleared yet.
   */
  highWaterMin = 0;
  /**
   * The high-water mark of metadata pages, as it is on disk: pages from this one on may be written only once it has
   * been raised. 0 until marks are on disk. The mark of clusters is `shared.highWater`.
   */
  mdPageMark: number;
  /** The mark of metadata pages is never written below this one: it is above all pages that are not zeroes. */
  mdPageMarkMin = 0;
  readonly durability: Durability;
  readonly keepsHighWater: boolean;
  readonly growLimitBytes: number;
  /** The store was recovered when it was opened. */
  wasRecovered = false;
  /** The most requests of a channel at one time. */
  readonly channelOpsMax: number;
  readonly openExternal: OpenExternalSnapshot | undefined;
  readonly externalContext: unknown;

  readonly #openBlobs = new PageMap<Blob>();
  #openChanges = 0;
  /**
   * The open blobs that a flush of the store has to visit, by their first page: those that are dirty, that are being
   * written, that become read-only with the next sync, or that have clusters to be released.
   */
  readonly unsynced = new PageMap<Blob>();
  /** The open blobs without a reference, whose metadata could not be written when they were closed. */
  readonly lingering = new Set<Blob>();
  /**
   * What blobs had when they were closed last, by their first page. Out of date while a blob is open. Removed when its
   * deletion cannot be undone.
   */
  readonly closedBlobs = new PageMap<ClosedBlob>();
  /** Blobs that are being opened, by their first page. */
  readonly loading = new PageMap<Loading>();
  /**
   * Blobs whose deletion has begun on disk and then failed, by their first page. Deleting one again, or unloading the
   * store, continues its deletion.
   */
  readonly unfinishedDeletes = new PageMap<Blob>();
  /**
   * By the first page of a blob: work on disk that a failed operation has left, and that must be done before the blob
   * is changed on disk.
   */
  readonly unsettled = new Map<MdPage, () => Steps<void>>();
  /** Clusters that no map names, but that stay taken because clearing them has failed. */
  unclearedClusters: DeviceCluster[] = [];
  readonly snapshots = new SnapshotTree();
  readonly pageBuffers = new PageBuffers();
  /** The channels of the metadata thread. */
  readonly channels = new Set<DataPath>();
  /** The damaged blobs that were found when the store was loaded. */
  readonly damaged: DamagedBlob[] = [];
  /** Damaged blobs that were set aside, by their first page. They cannot be opened while the store is open. */
  readonly setAside = new Map<MdPage, DamagedBlob>();
  /**
   * True when a blob that was set aside may be a clone of any snapshot. Then no blob is deleted that could be its
   * parent.
   */
  hidesParents = false;
  /** Pages that are never freed: a new blob there would be mistaken for a lost one that other blobs still name. */
  lostPages: ReadonlySet<MdPage> = new Set();
  /** False while a load is still determining which clusters are used. */
  knowsUsed = true;
  /** True during recovery of a store that was not closed. What a killed process leaves behind is then not damage. */
  isRecovering = false;
  /** The reader that has read metadata pages ahead, during a load that reads all of them; otherwise undefined. */
  regionReader: RegionReader | undefined;
  /** Metadata pages that a visit of all blobs has read ahead; undefined at any other time. */
  pagesAhead: PagesAhead | undefined;
  /**
   * The clusters and pages that recovery has found in more than one blob, until that is corrected; undefined after a
   * clean load.
   */
  sharedByBlobs: SharedByBlobs | undefined;
  /**
   * The number of clusters that damaged blobs name, but the store does not have. As in SPDK, the count of free clusters
   * is reduced by it.
   */
  missingClusterCount = 0;
  /** Called after clusters were taken or freed. */
  onFreeChange: (() => void) | undefined;
  #closed = false;
  #drainWaiters: (() => void)[] = [];

  constructor(fields: StoreStateFields) {
    this.device = fields.device;
    this.deviceChannel = fields.deviceChannel;
    this.flushes = new DeviceFlushes(fields.device, fields.deviceChannel);
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
    this.mdPageMark = fields.mdPageMark;
    this.growLimitBytes = fields.growLimitBytes;
    this.channelOpsMax = fields.channelOpsMax;
    this.openExternal = fields.openExternal;
    this.externalContext = fields.externalContext;
  }

  /** The current size of the device in bytes. */
  get deviceBytes(): number {
    return this.device.blockCount * this.device.blockLengthBytes;
  }

  /** True when every metadata write is issued at once (`process-crash`). */
  get writesThrough(): boolean {
    return this.durability === 'process-crash';
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** The open blobs, by their first page. */
  get openBlobs(): Pick<PageMap<Blob>, 'get' | 'has' | 'values'> {
    return this.#openBlobs;
  }

  /** How many times a blob was added to the open ones or removed. */
  get openChanges(): number {
    return this.#openChanges;
  }

  /** Adds a blob to the open ones. */
  addOpen(blob: Blob): void {
    this.#openChanges++;
    this.#openBlobs.set(blob.page, blob);
    blob.trackIn(this.unsynced);
  }

  /** Removes a blob from the open ones, in memory only. */
  removeOpen(blob: Blob): void {
    this.#openChanges++;
    if (this.#openBlobs.get(blob.page) === blob) this.#openBlobs.delete(blob.page);
    blob.trackIn(undefined);
    this.lingering.delete(blob);
  }

  /** Throws EBADF once the store is unloaded or destroyed. */
  requireOpen(): void {
    if (this.#closed) throw new BlobstoreError('EBADF', 'the store is closed: open it again first');
  }

  /** Marks the store as closed, here and in shared memory. */
  markClosed(): void {
    this.#closed = true;
    this.shared.markClosed();
  }

  /**
   * A write barrier with `power-loss` durability: makes everything written so far durable. Does nothing with
   * `process-crash`. Barriers that are asked for at the same time share a flush of the device. In promise form on a
   * synchronous device, that takes a turn of the event loop.
   */
  barrier(): Steps<void> {
    return this.durability === 'power-loss' ? this.flushes.flush() : ENDED;
  }

  /**
   * Like `barrier`, but does not wait for others that could share it. For rare operations, and for those that a
   * synchronous write may have to wait for.
   */
  barrierAtOnce(): Steps<void> {
    return this.durability === 'power-loss' ? this.flushes.since(this.flushes.begun) : ENDED;
  }

  /**
   * Waits until an operation has left a frozen blob. This thread must not block for that, because an operation inside
   * the blob may wait for this thread to insert a cluster. So `block` throws EBUSY.
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

  /** Wakes those that wait in `drained`. Called when an operation has left a frozen blob. */
  pokeDrain(): void {
    const waiters = this.#drainWaiters;
    this.#drainWaiters = [];
    for (const resolve of waiters) resolve();
  }
}
