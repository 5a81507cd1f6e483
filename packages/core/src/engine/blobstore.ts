/**
 * The engine's API: a store and its operations as steps, in clusters and io units. `run` and `runSync` execute the
 * steps. A store and its blobs belong to one thread, the metadata thread; only channels can be used on others.
 * `@blobyard/workers` adds the promise API, in bytes.
 *
 * Call every method on the metadata thread. An invalid argument is EINVAL, also where a docstring does not say so.
 *
 * The file is long because it is one class, the whole API; each method checks its arguments and calls one function.
 */

import type { Blob } from '../blob/blob.js';
import type { BlobSummary } from '../blob/blob-summary.js';
import { nameToBytes, nameToText } from '../blob/xattr-list.js';
import { Channel } from '../channel/channel.js';
import type { BlockDevice } from '../device/block-device.js';
import { bstypeToText } from '../format/super-block.js';
import { createClone } from '../metadata/clone.js';
import { copyBlob, shallowCopyBlob } from '../metadata/copy.js';
import { createBlob } from '../metadata/create.js';
import { deleteBlob } from '../metadata/delete.js';
import { countReclaimable } from '../metadata/discard-cluster.js';
import { isDegraded, setExternalDevice } from '../metadata/external.js';
import { blobsToFlush, flushBlob, flushStore, isSynced, syncBlob } from '../metadata/flush.js';
import { decoupleBlob, inflateBlob } from '../metadata/inflate.js';
import { blobIds, visitBlobs } from '../metadata/iterate.js';
import { closeBlob, dropReference, type OpenBlobOptions, openBlob } from '../metadata/open-close.js';
import { resizeBlob } from '../metadata/resize.js';
import { createSnapshot, createSnapshots } from '../metadata/snapshot.js';
import type { SharedStore } from '../shared/shared-store.js';
import type { DamagedBlob } from '../state/damage.js';
import type { Durability, StoreState } from '../state/store-state.js';
import { updateSuper } from '../state/super-block-io.js';
import type { Steps } from '../steps/steps.js';
import type { Watched } from '../steps/watched.js';
import { growLive } from '../store/grow.js';
import { initStore } from '../store/init.js';
import { growStore, loadStore } from '../store/load.js';
import type { InitOptions, LoadOptions } from '../store/options.js';
import { abandonStore, destroyStore, unloadStore } from '../store/unload.js';
import { auditStore, verifyStore } from '../store/verify.js';
import { checkBytes, checkFunction } from '../units/argument-checks.js';
import { BlobstoreError } from '../units/error.js';
import type { Geometry } from '../units/geometry.js';
import { type BlobId, INVALID_BLOB_ID, type MdPage, PAGE_BYTES } from '../units/units.js';
import { type CreateOptions, checkCreateOptions } from './create-options.js';
import {
  checkBlob,
  checkChannel,
  checkClearMethod,
  checkCount,
  checkDevice,
  checkId,
  checkName,
  checkOptions,
} from './engine-checks.js';
import { InlinePort, inlineHost } from './inline-port.js';
import { derivedXattrs, type SnapshotOptions, snapshotsAsked, type Xattrs } from './xattrs.js';

/**
 * An open store. Make it with `init`, `load` or `grow`, and end it with `unload`, `destroy` or `abandon`. Metadata
 * thread. Methods check their arguments when they are called, and throw EINVAL; most throw EBADF once the store is
 * closed.
 */
export class Blobstore {
  readonly #state: StoreState;

  private constructor(state: StoreState) {
    this.#state = state;
  }

  /**
   * Creates a new store on a device; its former content is lost. See `InitOptions`.
   * @throws EINVAL invalid options or block length, ENOSPC the device is smaller than a cluster, ENOMEM the metadata
   * region does not fit
   */
  static *init(device: BlockDevice, options: InitOptions = {}): Steps<Blobstore> {
    return new Blobstore(yield* initStore(checkDevice(device), checkOptions('options', options)));
  }

  /**
   * Opens the store on a device; recovers it if it was not cleanly unloaded. See `LoadOptions`.
   * @throws EILSEQ no store, or a damaged one; ENXIO another type; ENOSPC a device smaller than a cluster; ENOTSUP a
   * store of a newer SPDK; EINVAL invalid options or block length; EIO of the device
   */
  static *load(device: BlockDevice, options: LoadOptions = {}): Steps<Blobstore> {
    return new Blobstore(yield* loadStore(checkDevice(device), checkOptions('options', options)));
  }

  /**
   * Opens a cleanly unloaded store, and extends it to the size of its device. Throws as `load`, and EIO when the store
   * was not cleanly unloaded.
   */
  static *grow(device: BlockDevice, options: LoadOptions = {}): Steps<Blobstore> {
    return new Blobstore(yield* growStore(checkDevice(device), checkOptions('options', options)));
  }

  /** The structures that the store's threads share. */
  get shared(): SharedStore {
    return this.#state.shared;
  }

  /** Sizes and positions of the store's parts. */
  get geometry(): Geometry {
    return this.#state.geometry;
  }

  /** The device that the store was opened on. */
  get device(): BlockDevice {
    return this.#state.device;
  }

  /** Bytes in a metadata page. */
  get pageBytes(): number {
    return PAGE_BYTES;
  }

  /** The number of clusters that no blob has, 0 or more. */
  get freeClusterCount(): number {
    return Math.max(0, this.#state.shared.clusters.freeCount - this.#state.missingClusterCount);
  }

  /**
   * The number of clusters that no blob uses any more, but that are not free yet. A sync of their blob releases them,
   * and so does an allocation that needs them (`reclaimClusters`).
   */
  get reclaimableClusterCount(): number {
    return countReclaimable(this.#state);
  }

  /** The number of clusters for blobs' data, free or not; the other clusters hold metadata. */
  get dataClusterCount(): number {
    return this.#state.shared.clusters.capacity - this.#state.geometry.metadataClusterCount();
  }

  /** True if the store was recovered when it was opened: it was not unloaded, or recovery was forced. */
  get wasRecovered(): boolean {
    return this.#state.wasRecovered;
  }

  /** The size to which the store can grow, in bytes: that for which its cluster mask has room. */
  get growLimitBytes(): number {
    return this.#state.growLimitBytes;
  }

  /**
   * Sets a function that is called after clusters were allocated or released by any thread. It replaces the previous
   * one, runs on the metadata thread, and must not throw.
   */
  watchFree(onChange: () => void): void {
    this.#state.onFreeChange = onChange;
  }

  /** The store's type as text, up to its first zero byte. */
  get bstype(): string {
    return bstypeToText(this.#state.bstype);
  }

  /** A copy of the store's type, 16 bytes. */
  get bstypeBytes(): Uint8Array {
    return this.#state.bstype.slice();
  }

  /** The blobs that could not be opened when the store was opened, with the errors. */
  get damaged(): readonly DamagedBlob[] {
    return this.#state.damaged;
  }

  /** What acknowledged changes survive: 'power-loss' or 'process-crash'. */
  get durability(): Durability {
    return this.#state.durability;
  }

  /** True after `unload`, `destroy` or `abandon`; most operations throw EBADF then. */
  get isClosed(): boolean {
    return this.#state.isClosed;
  }

  /** The operations of the metadata thread that channels need; used to serve channels on other threads. */
  get metadata(): InlinePort {
    return new InlinePort(this.#state);
  }

  /** How many requests in promise form a channel accepts at the same time. */
  get channelOpsMax(): number {
    return this.#state.channelOpsMax;
  }

  /**
   * No channel, on any thread, can write a blob that is opened from now on (EPERM). For a store on a view of its device
   * that only the metadata thread has. Its other methods still change what the view shows.
   */
  refuseWrites(): void {
    this.#state.shared.refusesWrites = true;
  }

  /** Opens a channel for the metadata thread. ENOMEM when the store has no free row for another channel. */
  openChannel(): Channel {
    this.#state.requireOpen();
    const channel = new Channel(inlineHost(this.#state));
    this.#state.channels.add(channel);
    return channel;
  }

  /** Closes a channel of this store, after its requests have ended. */
  *closeChannel(channel: Channel): Steps<void> {
    yield* checkChannel(channel).close();
    this.#state.channels.delete(channel);
  }

  /**
   * Writes the masks, marks the store as clean, and closes it. EBUSY while blobs are open; after any other error the
   * store is closed, and the next load recovers it.
   */
  unload(): Steps<void> {
    return unloadStore(this.#state);
  }

  /** Deletes the store from the device: zeroes the super block, and closes the store. EBUSY while blobs are open. */
  destroy(): Steps<void> {
    return destroyStore(this.#state);
  }

  /** Closes the store without writing anything, as if the process was killed. The next load recovers it. */
  abandon(): Steps<void> {
    return abandonStore(this.#state);
  }

  /**
   * Extends the open store to the size of its device.
   * @throws EILSEQ the device is smaller than the store, ENOSPC the cluster mask has no room; then nothing has changed
   */
  *growLive(): Steps<void> {
    this.#state.requireOpen();
    yield* growLive(this.#state);
  }

  /** True when the metadata of all open blobs is on disk. */
  get isSynced(): boolean {
    return isSynced(this.#state);
  }

  /**
   * Makes all acknowledged changes of all blobs durable, including blobs that their users have dropped. If one fails,
   * the others are still written; the first error is thrown at the end.
   */
  *flush(): Steps<void> {
    this.#state.requireOpen();
    yield* flushStore(this.#state);
  }

  /**
   * Waits for a turn of the event loop where that lets others share a flush: on a synchronous device, in promise form.
   */
  gatherFlushes(): Steps<void> {
    return this.#state.flushes.gather();
  }

  /**
   * Sets the super blob, which `getSuper` returns; the invalid id means none. If writing it fails, it has changed in
   * memory all the same.
   */
  *setSuper(id: BlobId): Steps<void> {
    this.#state.requireOpen();
    this.#state.superBlobId = checkId(id);
    yield* updateSuper(this.#state, () => true);
  }

  /** Returns the super blob: the id that the store's user has set as the place to start. ENOENT when none is set. */
  getSuper(): BlobId {
    this.#state.requireOpen();
    if (this.#state.superBlobId !== INVALID_BLOB_ID) return this.#state.superBlobId;
    throw new BlobstoreError('ENOENT', 'the store has no super blob: set one with setSuper first');
  }

  /**
   * Changes the store's type in memory; the next write of the super block writes it to disk. EINVAL unless it is 16
   * bytes.
   */
  setBstype(bstype: Uint8Array): void {
    if (checkBytes('a store type', bstype).length !== 16)
      throw new BlobstoreError('EINVAL', `a store type has 16 bytes, not ${bstype.length}`);
    this.#state.bstype = bstype.slice();
  }

  /**
   * Creates a blob and writes its metadata; it is not open.
   * @throws ENOMEM no metadata page is free, an xattr is too long, or the map is too large; EINVAL invalid options;
   * ENOSPC a thick blob that does not fit. Nothing is left behind.
   */
  createBlob(options: CreateOptions = {}): Steps<BlobId> {
    return createBlob(this.#state, checkCreateOptions(options));
  }

  /**
   * Opens a blob, or takes another reference to an open one.
   * @throws ENOENT no such blob, EINVAL damaged metadata, EBUSY being deleted, ENOTSUP an external clone of a store
   * without `openExternalSnapshot`, ENOMEM too many open blobs
   */
  openBlob(id: BlobId, options: OpenBlobOptions = {}): Steps<Blob> {
    const given = checkOptions<OpenBlobOptions>('options of opening a blob', options);
    checkClearMethod(given.clearMethod);
    return openBlob(this.#state, checkId(id), given);
  }

  /**
   * Releases a reference to a blob. The last one writes dirty metadata, and closes the blob.
   * @throws EBADF when the blob is not open; an error of writing, after which the blob stays open
   */
  closeBlob(blob: Blob): Steps<void> {
    return closeBlob(this.#state, checkBlob(this.#state, blob));
  }

  /**
   * Like `closeBlob`, for a user who is gone: it never fails, and always releases the reference. If the blob's metadata
   * cannot be written, the blob stays in memory without a user. `flush` and `unload` write it then, or throw the error.
   */
  dropBlob(blob: Blob): Steps<void> {
    return dropReference(this.#state, checkBlob(this.#state, blob));
  }

  /**
   * Deletes a blob. If it is a snapshot with one clone, the clone takes over its clusters.
   * @throws ENOENT no such blob; EBUSY it is open, has more than one clone, or another operation is running on it; or
   * an error of writing, after which deleting it again continues
   */
  deleteBlob(id: BlobId): Steps<void> {
    return deleteBlob(this.#state, checkId(id));
  }

  /**
   * Changes the size of an open blob, in clusters; the next sync writes it to disk.
   * @throws EPERM read-only metadata, EBUSY another operation is running on it, ENOSPC a thick blob that does not fit,
   * ENOMEM a map that is too large, EINVAL more clusters than 32 bits count. Nothing has changed then.
   */
  resizeBlob(blob: Blob, clusterCount: number): Steps<void> {
    const checked = checkBlob(this.#state, blob);
    return resizeBlob(this.#state, checked, checkCount('the number of clusters', clusterCount));
  }

  /**
   * Writes a blob's metadata if it is dirty. If the sync makes the blob read-only, its data does not change after this.
   */
  *syncBlob(blob: Blob): Steps<void> {
    this.#state.requireOpen();
    yield* syncBlob(this.#state, checkBlob(this.#state, blob));
  }

  /** Makes all acknowledged changes of a blob durable, metadata and data. */
  *flushBlob(blob: Blob): Steps<void> {
    this.#state.requireOpen();
    yield* flushBlob(this.#state, checkBlob(this.#state, blob));
  }

  /**
   * Creates a snapshot of a blob, which becomes a clone of it. Operations on the blob wait meanwhile.
   * @param inheritsAllBut - the names of the blob's xattrs that the snapshot does not get; undefined: it gets none, as
   * in the specification. Those in `xattrs` replace inherited ones
   * @throws EINVAL the blob is read-only, EBUSY another operation is running on it, and what creating a blob throws
   */
  createSnapshot(id: BlobId, xattrs?: Xattrs, inheritsAllBut?: readonly string[]): Steps<BlobId> {
    return createSnapshot(this.#state, checkId(id), derivedXattrs(xattrs, inheritsAllBut));
  }

  /**
   * Creates snapshots of several blobs, all of the same moment. After a crash some of them may exist. If one cannot be
   * created, those that exist are deleted again; one that cannot be deleted stays.
   * @param inheritsAllBut - see `createSnapshot`
   * @throws as `createSnapshot`; also EINVAL a blob is named twice
   */
  createSnapshots(asked: readonly SnapshotOptions[]): Steps<BlobId[]> {
    return createSnapshots(this.#state, snapshotsAsked(asked));
  }

  /**
   * Creates a clone of a read-only blob.
   * @param inheritsAllBut - see `createSnapshot`
   * @throws EINVAL the blob can be written, EBUSY another operation is running on it, and what creating a blob throws
   */
  createClone(id: BlobId, xattrs?: Xattrs, inheritsAllBut?: readonly string[]): Steps<BlobId> {
    return createClone(this.#state, checkId(id), derivedXattrs(xattrs, inheritsAllBut));
  }

  /**
   * Allocates every cluster of a thin blob; it is thick then, and has no parent. A thick blob stays as it is.
   * @param channel - copies the clusters
   * @throws ENOSPC not enough free clusters, EBUSY another operation is running on the blob, ECANCELED aborted.
   * Clusters that were copied until then stay.
   */
  inflateBlob(channel: Channel, id: BlobId, watched?: Watched): Steps<void> {
    return inflateBlob(this.#state, checkChannel(channel), checkId(id), checkOptions('options of inflating', watched));
  }

  /**
   * Copies the clusters of a clone's parent into the clone, whose parent is then its parent's parent, or none.
   * @param channel - copies the clusters
   * @throws EINVAL the blob has no parent, ENOENT its parent is an external clone, otherwise as `inflateBlob`
   */
  decoupleBlob(channel: Channel, id: BlobId, watched?: Watched): Steps<void> {
    return decoupleBlob(
      this.#state,
      checkChannel(channel),
      checkId(id),
      checkOptions('options of decoupling', watched),
    );
  }

  /**
   * Copies the clusters that a read-only blob has itself to the same offsets on `target`.
   * @returns the number of clusters that were copied
   * @throws EPERM the blob can be written, EINVAL `target` is smaller than the blob or its blocks do not fit, EBUSY
   * another operation is running on the blob, ECANCELED aborted
   */
  shallowCopyBlob(id: BlobId, target: BlockDevice, watched?: Watched): Steps<number> {
    return shallowCopyBlob(this.#state, checkId(id), checkDevice(target), checkOptions('options of copying', watched));
  }

  /**
   * Makes `target` read as a read-only blob does, up to the blob's end; the rest of `target` stays as it is.
   * @param channel - reads the blob
   * @param isZeroed - true: `target` reads as zeroes already
   * @returns the number of clusters that were copied; those that read as zeroes are not
   * @throws as `shallowCopyBlob`, and what reading the blob throws
   */
  copyBlob(channel: Channel, id: BlobId, target: BlockDevice, isZeroed: boolean, watched?: Watched): Steps<number> {
    const options = checkOptions('options of copying', watched);
    return copyBlob(this.#state, checkChannel(channel), checkId(id), checkDevice(target), isZeroed, options);
  }

  /**
   * Replaces the device of an open external clone; the old device is closed.
   * @throws EINVAL the blob is no external clone, or the blocks do not fit; EBUSY another operation is running on it
   */
  setExternalDevice(blob: Blob, device: BlockDevice): Steps<void> {
    return setExternalDevice(this.#state, checkBlob(this.#state, blob), checkDevice(device));
  }

  /** The device of an open external clone; undefined when it is missing. EINVAL when the blob is no external clone. */
  externalDevice(blob: Blob): BlockDevice | undefined {
    if (!checkBlob(this.#state, blob).isExternalClone)
      throw new BlobstoreError('EINVAL', `blob ${blob.id} is no clone of an external snapshot`);
    return blob.back?.kind === 'external' ? blob.back.device : undefined;
  }

  /** A copy of the id of a blob's external snapshot; undefined when the blob is no external clone. */
  externalSnapshotId(blob: Blob): Uint8Array | undefined {
    return checkBlob(this.#state, blob).externalSnapshotId;
  }

  /**
   * Returns what a list shows of the blob that begins at a page, without waiting for anything. Undefined when the blob
   * does not exist, is being deleted, or was not opened since the store is open.
   */
  summaryAt(page: MdPage): BlobSummary | undefined {
    const { openBlobs, closedBlobs } = this.#state;
    checkCount('a metadata page', page);
    const open = openBlobs.get(page);
    if (open === undefined) return closedBlobs.get(page);
    return open.deleting ? undefined : open;
  }

  /**
   * Grows when a blob is opened or closed, and when the tree of snapshots changes. While it stays the same, and no
   * metadata operation runs, `summaryAt` and `clonesIfSnapshot` show the same of a blob that is closed or read-only.
   */
  get listChanges(): number {
    return this.#state.openChanges + this.#state.snapshots.changes;
  }

  /** True when the store's device, or the external device behind the blob, is degraded. */
  isDegraded(blob: Blob): boolean {
    return isDegraded(this.#state, checkBlob(this.#state, blob));
  }

  /**
   * Sets an xattr in memory; the next sync writes it. EPERM when the blob's metadata is read-only, ENOMEM when the
   * xattr is too long for a metadata page.
   */
  setXattr(blob: Blob, name: string, value: Uint8Array): void {
    const bytes = checkBytes('the value of an xattr', value).slice();
    checkBlob(this.#state, blob).setXattr(nameToBytes(checkName(name)), bytes, false);
  }

  /**
   * Removes an xattr in memory; the next sync writes it. EPERM when the blob's metadata is read-only, ENOENT when there
   * is no such xattr.
   */
  removeXattr(blob: Blob, name: string): void {
    checkBlob(this.#state, blob).removeXattr(nameToBytes(checkName(name)), false);
  }

  /** Returns a copy of an xattr's value. ENOENT when there is no such xattr. */
  getXattr(blob: Blob, name: string): Uint8Array {
    const { xattrs } = checkBlob(this.#state, blob);
    const value = xattrs.get(nameToBytes(checkName(name))) ?? xattrs.get(name);
    if (value) return value.slice();
    throw new BlobstoreError('ENOENT', `blob ${blob.id} has no xattr '${name}'`);
  }

  /** Returns the names of a blob's xattrs. */
  xattrNames(blob: Blob): string[] {
    return checkBlob(this.#state, blob).xattrs.entries.map((xattr) => nameToText(xattr.name));
  }

  /** Makes a blob read-only; takes effect at the next sync. */
  setReadOnly(blob: Blob): void {
    if (!checkBlob(this.#state, blob).dataRo) blob.setReadOnly();
  }

  /** True when a blob is a snapshot: it has clones, or had one at some time since the store was opened. */
  isSnapshot(id: BlobId): boolean {
    return this.#state.snapshots.has(checkId(id));
  }

  /** Returns the snapshot that a blob is a clone of; the invalid id when there is none. */
  parentOf(id: BlobId): BlobId {
    return this.#state.snapshots.parentOf(checkId(id));
  }

  /** Returns the clones of a snapshot; empty when there are none. */
  clonesOf(id: BlobId): readonly BlobId[] {
    return this.#state.snapshots.clonesOf(checkId(id));
  }

  /** Returns the clones of a snapshot; undefined for a blob that is none, as `isSnapshot` says. */
  clonesIfSnapshot(id: BlobId): readonly BlobId[] | undefined {
    return this.#state.snapshots.clonesIfListed(checkId(id));
  }

  /** Returns the first io unit from `offset` on that is in an allocated cluster; undefined when there is none. */
  nextAllocated(blob: Blob, offset: number): number | undefined {
    return this.#nextWhere(blob, offset, (cluster) => cluster !== 0);
  }

  /** Like `nextAllocated`, for an unallocated cluster. */
  nextUnallocated(blob: Blob, offset: number): number | undefined {
    return this.#nextWhere(blob, offset, (cluster) => cluster === 0);
  }

  /** The size of a blob in io units. */
  ioUnitCount(blob: Blob): number {
    return checkBlob(this.#state, blob).clusterCount * this.#state.geometry.ioUnitsPerCluster;
  }

  /** Returns the ids of the open blobs for which `flush` has something to write now. */
  unsyncedBlobIds(): BlobId[] {
    return blobsToFlush(this.#state).map(({ id }) => id);
  }

  /** Returns the ids of the open blobs in ascending order, including snapshots that are open because a clone is. */
  openBlobIds(): BlobId[] {
    return this.#state.openBlobs.values().map(({ id }) => id);
  }

  /** Returns the ids of all blobs, in ascending order. */
  blobIds(): BlobId[] {
    return blobIds(this.#state);
  }

  /**
   * Opens each blob, in ascending order of ids, calls `visit` with it, and closes it. Blobs that cannot be opened are
   * skipped. An error that `visit` throws ends the iteration, and is thrown.
   */
  *iterate(visit: (blob: Blob) => void): Steps<void> {
    yield* visitBlobs(this.#state, checkFunction('visit', visit));
  }

  /** For tests: throws `InvariantError` when the records in memory of pages and clusters are inconsistent. */
  verify(): void {
    verifyStore(this.#state);
  }

  /**
   * For tests: like `verify`, and also throws when a page or cluster has leaked, that is, is allocated but belongs to
   * no blob. Reads closed blobs from disk; no other operation may be running.
   */
  audit(): Steps<void> {
    return auditStore(this.#state);
  }

  #nextWhere(blob: Blob, offset: number, wanted: (cluster: number) => boolean): number | undefined {
    const { geometry } = this.#state;
    checkBlob(this.#state, blob);
    checkCount('the offset in io units', offset);
    for (let cluster = geometry.ioUnitToCluster(offset); cluster < blob.clusterCount; cluster++) {
      if (wanted(blob.clusterAt(cluster))) return Math.max(offset, geometry.clusterToIoUnit(cluster));
    }
    return undefined;
  }
}
