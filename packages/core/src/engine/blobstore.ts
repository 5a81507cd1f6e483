/**
 * The engine's own API: a store and its operations as steps, in clusters and io units. `run` and `runSync` execute them. All
 * but channels belong to one thread, the metadata thread. `@blobyard/workers` puts the promise API in bytes on top of it.
 */

import { type Blob, INTERNAL_XATTR } from '../blob/blob.js';
import { nameToBytes, nameToText } from '../blob/xattr-list.js';
import { Channel } from '../channel/channel.js';
import type { BlockDevice } from '../device/block-device.js';
import { bstypeToText } from '../format/super-block.js';
import { createClone } from '../metadata/clone.js';
import { createBlob } from '../metadata/create.js';
import { deleteBlob } from '../metadata/delete.js';
import { countReclaimable } from '../metadata/discard-cluster.js';
import { isDegraded, setExternalDevice } from '../metadata/external.js';
import { flushBlob, flushStore, isSynced, syncBlob } from '../metadata/flush.js';
import { decoupleBlob, inflateBlob } from '../metadata/inflate.js';
import { blobIds, visitBlobs } from '../metadata/iterate.js';
import { closeBlob, dropReference, type OpenBlobOptions, openBlob } from '../metadata/open-close.js';
import { resizeBlob } from '../metadata/resize.js';
import { shallowCopyBlob } from '../metadata/shallow-copy.js';
import { createSnapshot } from '../metadata/snapshot.js';
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
import { BlobstoreError } from '../units/error.js';
import type { Geometry } from '../units/geometry.js';
import { type BlobId, INVALID_BLOB_ID, PAGE_BYTES } from '../units/units.js';
import {
  checkBlob,
  checkBytes,
  checkChannel,
  checkClearMethod,
  checkCount,
  checkDevice,
  checkId,
  checkName,
  checkObject,
  unusable,
} from './argument-checks.js';
import { type CreateOptions, checkCreateOptions } from './create-options.js';
import { InlinePort, inlineHost } from './inline-port.js';
import { type Xattrs, xattrList } from './xattrs.js';

export class Blobstore {
  readonly #state: StoreState;

  private constructor(state: StoreState) {
    this.#state = state;
  }

  /** Makes a new store on a device; see `InitOptions`. */
  static *init(device: BlockDevice, options: InitOptions = {}): Steps<Blobstore> {
    return new Blobstore(yield* initStore(checkDevice(device), checkObject('options', options)));
  }

  /** Opens the store on a device, recovering it where needed; see `LoadOptions`. */
  static *load(device: BlockDevice, options: LoadOptions = {}): Steps<Blobstore> {
    return new Blobstore(yield* loadStore(checkDevice(device), checkObject('options', options)));
  }

  /** Opens the cleanly unloaded store on a device that became larger, and makes it as large. */
  static *grow(device: BlockDevice, options: LoadOptions = {}): Steps<Blobstore> {
    return new Blobstore(yield* growStore(checkDevice(device), checkObject('options', options)));
  }

  /** The structures that threads share. */
  get shared(): SharedStore {
    return this.#state.shared;
  }

  get geometry(): Geometry {
    return this.#state.geometry;
  }

  get device(): BlockDevice {
    return this.#state.device;
  }

  /** Bytes of a metadata page. */
  get pageBytes(): number {
    return PAGE_BYTES;
  }

  /** Clusters that no blob has. */
  get freeClusterCount(): number {
    return Math.max(0, this.#state.shared.clusters.freeCount - this.#state.missingClusterCount);
  }

  /** Clusters that no blob has any more, and that are given back to whoever needs them (`reclaimClusters`), or by a sync. */
  get reclaimableClusterCount(): number {
    return countReclaimable(this.#state);
  }

  /** Clusters that hold data or could; the others hold metadata. */
  get dataClusterCount(): number {
    return this.#state.shared.clusters.capacity - this.#state.geometry.metadataClusterCount();
  }

  /** Has a function called after clusters were taken or given back, by whichever thread; it must not throw. */
  watchFree(onChange: () => void): void {
    this.#state.onFreeChange = onChange;
  }

  /** The store's type, as text up to its first zero byte. */
  get bstype(): string {
    return bstypeToText(this.#state.bstype);
  }

  /** The store's type, 16 bytes. */
  get bstypeBytes(): Uint8Array {
    return this.#state.bstype.slice();
  }

  /** Blobs that could not be opened when the store was, and why. */
  get damaged(): readonly DamagedBlob[] {
    return this.#state.damaged;
  }

  get durability(): Durability {
    return this.#state.durability;
  }

  get isClosed(): boolean {
    return this.#state.isClosed;
  }

  /** The metadata thread as channels ask it, for who serves channels on other threads. */
  get metadata(): InlinePort {
    return new InlinePort(this.#state);
  }

  /** Requests in promise form that a channel takes at once. */
  get channelOpsMax(): number {
    return this.#state.channelOpsMax;
  }

  /** Opens a channel for this thread. ENOMEM when the store has as many as it can. */
  openChannel(): Channel {
    this.#state.requireOpen();
    const channel = new Channel(inlineHost(this.#state));
    this.#state.channels.add(channel);
    return channel;
  }

  /** Closes a channel of this store. */
  *closeChannel(channel: Channel): Steps<void> {
    yield* checkChannel(channel).close();
    this.#state.channels.delete(channel);
  }

  /** Writes the masks and marks the store clean. EBUSY while blobs are open. */
  unload(): Steps<void> {
    return unloadStore(this.#state);
  }

  /** Makes the device hold no store. EBUSY while blobs are open. */
  destroy(): Steps<void> {
    return destroyStore(this.#state);
  }

  /** Lets go of the store as it is, as a killed process would: nothing is written, the next load recovers. */
  abandon(): Steps<void> {
    return abandonStore(this.#state);
  }

  /** Makes the open store as large as its device. */
  *growLive(): Steps<void> {
    this.#state.requireOpen();
    yield* growLive(this.#state);
  }

  /** True when the disk has the metadata of all blobs, or is being given it. */
  get isSynced(): boolean {
    return isSynced(this.#state);
  }

  /**
   * Makes what was acknowledged durable, of all blobs, those included that their users have dropped. One that fails keeps no other
   * from it: the first error is thrown at the end.
   */
  *flush(): Steps<void> {
    this.#state.requireOpen();
    yield* flushStore(this.#state);
  }

  /** Names the blob that `getSuper` answers; the invalid id: none. When writing it fails, memory has the new one all the same. */
  *setSuper(id: BlobId): Steps<void> {
    this.#state.requireOpen();
    this.#state.superBlobId = checkId(id);
    yield* updateSuper(this.#state, () => true);
  }

  /** The blob that the store's user named as where to begin. ENOENT when there is none. */
  getSuper(): BlobId {
    this.#state.requireOpen();
    if (this.#state.superBlobId !== INVALID_BLOB_ID) return this.#state.superBlobId;
    throw new BlobstoreError('ENOENT', 'the store names no super blob');
  }

  /** Changes the store's type; it is on disk when the super block is next written. EINVAL unless 16 bytes. */
  setBstype(bstype: Uint8Array): void {
    if (checkBytes('a store type', bstype).length !== 16)
      throw new BlobstoreError('EINVAL', `a store type has 16 bytes, not ${bstype.length}`);
    this.#state.bstype = bstype.slice();
  }

  createBlob(options: CreateOptions = {}): Steps<BlobId> {
    return createBlob(this.#state, checkCreateOptions(options));
  }

  openBlob(id: BlobId, options: OpenBlobOptions = {}): Steps<Blob> {
    const given = checkObject<OpenBlobOptions>('options of opening a blob', options);
    checkClearMethod(given.clearMethod);
    return openBlob(this.#state, checkId(id), given);
  }

  closeBlob(blob: Blob): Steps<void> {
    return closeBlob(this.#state, checkBlob(this.#state, blob));
  }

  /**
   * As `closeBlob`, of a user who is gone, and whom no error can reach: the reference is given back whatever happens. A blob that
   * cannot be written stays in memory, as the store's own: `flush` and `unload` write it, or fail as it does.
   */
  dropBlob(blob: Blob): Steps<void> {
    return dropReference(this.#state, checkBlob(this.#state, blob));
  }

  deleteBlob(id: BlobId): Steps<void> {
    return deleteBlob(this.#state, checkId(id));
  }

  resizeBlob(blob: Blob, clusterCount: number): Steps<void> {
    const checked = checkBlob(this.#state, blob);
    return resizeBlob(this.#state, checked, checkCount('the number of clusters', clusterCount));
  }

  /** Writes a blob's metadata if memory has what the disk has not. One that comes to be read-only does not change after that. */
  *syncBlob(blob: Blob): Steps<void> {
    this.#state.requireOpen();
    yield* syncBlob(this.#state, checkBlob(this.#state, blob));
  }

  /** Makes what was acknowledged of a blob durable: its metadata, and its data. */
  *flushBlob(blob: Blob): Steps<void> {
    this.#state.requireOpen();
    yield* flushBlob(this.#state, checkBlob(this.#state, blob));
  }

  createSnapshot(id: BlobId, xattrs?: Xattrs): Steps<BlobId> {
    return createSnapshot(this.#state, checkId(id), xattrList(xattrs));
  }

  createClone(id: BlobId, xattrs?: Xattrs): Steps<BlobId> {
    return createClone(this.#state, checkId(id), xattrList(xattrs));
  }

  inflateBlob(channel: Channel, id: BlobId, watched?: Watched): Steps<void> {
    return inflateBlob(this.#state, checkChannel(channel), checkId(id), checkObject('options of inflating', watched));
  }

  decoupleBlob(channel: Channel, id: BlobId, watched?: Watched): Steps<void> {
    return decoupleBlob(this.#state, checkChannel(channel), checkId(id), checkObject('options of decoupling', watched));
  }

  shallowCopyBlob(id: BlobId, target: BlockDevice, watched?: Watched): Steps<number> {
    return shallowCopyBlob(this.#state, checkId(id), checkDevice(target), checkObject('options of copying', watched));
  }

  setExternalDevice(blob: Blob, device: BlockDevice): Steps<void> {
    return setExternalDevice(this.#state, checkBlob(this.#state, blob), checkDevice(device));
  }

  /** The device behind an open external clone; undefined when it is missing. EINVAL when the blob is no such clone. */
  externalDevice(blob: Blob): BlockDevice | undefined {
    if (!checkBlob(this.#state, blob).isExternalClone)
      throw new BlobstoreError('EINVAL', `blob ${blob.id} is no clone of an external snapshot`);
    return blob.back?.kind === 'external' ? blob.back.device : undefined;
  }

  /** The id of the external snapshot behind a blob; undefined when it is no such clone. */
  externalSnapshotId(blob: Blob): Uint8Array | undefined {
    return checkBlob(this.#state, blob).isExternalClone
      ? blob.internalXattrs.get(INTERNAL_XATTR.EXTERNAL_SNAPSHOT)?.slice()
      : undefined;
  }

  /** True when the store's device, or what is behind the blob, is degraded. */
  isDegraded(blob: Blob): boolean {
    return isDegraded(this.#state, checkBlob(this.#state, blob));
  }

  /** Sets an xattr in memory; the next sync writes it. EPERM read-only, ENOMEM too long for a metadata page. */
  setXattr(blob: Blob, name: string, value: Uint8Array): void {
    const bytes = checkBytes('the value of an xattr', value).slice();
    checkBlob(this.#state, blob).setXattr(nameToBytes(checkName(name)), bytes, false);
  }

  /** Removes an xattr in memory; the next sync writes it. EPERM read-only, ENOENT none of that name. */
  removeXattr(blob: Blob, name: string): void {
    checkBlob(this.#state, blob).removeXattr(nameToBytes(checkName(name)), false);
  }

  /** The value of an xattr, copied. ENOENT when there is none of that name. */
  getXattr(blob: Blob, name: string): Uint8Array {
    const { xattrs } = checkBlob(this.#state, blob);
    const value = xattrs.get(nameToBytes(checkName(name))) ?? xattrs.get(name);
    if (value) return value.slice();
    throw new BlobstoreError('ENOENT', `blob ${blob.id} has no xattr '${name}'`);
  }

  xattrNames(blob: Blob): string[] {
    return checkBlob(this.#state, blob).xattrs.entries.map((xattr) => nameToText(xattr.name));
  }

  /** Makes a blob read-only; this takes effect at the next sync. */
  setReadOnly(blob: Blob): void {
    if (!checkBlob(this.#state, blob).dataRo) blob.setReadOnly();
  }

  /** True when a blob is a snapshot: it has clones, or had some since the store was opened. */
  isSnapshot(id: BlobId): boolean {
    return this.#state.snapshots.has(checkId(id));
  }

  /** The snapshot of which a blob is a clone, or the invalid id. */
  parentOf(id: BlobId): BlobId {
    return this.#state.snapshots.parentOf(checkId(id));
  }

  clonesOf(id: BlobId): readonly BlobId[] {
    return this.#state.snapshots.clonesOf(checkId(id));
  }

  /** The first io unit from `offset` on that lies in an allocated cluster; undefined when there is none. */
  nextAllocated(blob: Blob, offset: number): number | undefined {
    return this.#nextWhere(blob, offset, (cluster) => cluster !== 0);
  }

  /** The first io unit from `offset` on that lies in an unallocated cluster; undefined when there is none. */
  nextUnallocated(blob: Blob, offset: number): number | undefined {
    return this.#nextWhere(blob, offset, (cluster) => cluster === 0);
  }

  /** Io units in a blob. */
  ioUnitCount(blob: Blob): number {
    return checkBlob(this.#state, blob).clusterCount * this.#state.geometry.ioUnitsPerCluster;
  }

  /** The ids of the blobs that are open, those included that others read through to. */
  openBlobIds(): BlobId[] {
    return [...this.#state.openBlobs.values()].map(({ id }) => id);
  }

  /** The ids of all blobs, in order. */
  blobIds(): BlobId[] {
    return blobIds(this.#state);
  }

  /** Opens every blob in the order of its id, shows it to `visit`, and closes it. One that cannot be opened is passed over. */
  *iterate(visit: (blob: Blob) => void): Steps<void> {
    if (typeof visit !== 'function') throw unusable('what visits the blobs', 'a function');
    yield* visitBlobs(this.#state, visit);
  }

  /** Throws `InvariantError` when what memory says of pages and clusters does not add up; for tests. */
  verify(): void {
    verifyStore(this.#state);
  }

  /** As `verify`, and also throws when a page or cluster is taken that nobody has; reads blobs that are closed. For tests. */
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
