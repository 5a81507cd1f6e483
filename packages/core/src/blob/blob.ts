/**
 * A blob's metadata in memory: the state that only the metadata thread sees, and the words in shared memory that
 * channels read. The file is long because it is one class: all that operations read and change of a blob.
 */

import type { BlockDevice } from '../device/block-device.js';
import type { ChainContent } from '../format/blob-chain.js';
import { type ExtentTableEntry, NO_EXTENT_PAGE } from '../format/extent-table.js';
import {
  type BlobFlags,
  type ClearMethod,
  clearMethodBits,
  DATA_RO_FLAG_READ_ONLY,
  INVALID_FLAG,
} from '../format/flags.js';
import { XATTR_DESCRIPTOR_BYTES_MAX, xattrDescriptorBytes } from '../format/xattr.js';
import { BACK, BLOB, BLOB_FLAG } from '../shared/layout.js';
import type { SharedStore } from '../shared/shared-store.js';
import { Coalescer } from '../steps/coalescer.js';
import { assert, BlobstoreError } from '../units/error.js';
import {
  type BlobId,
  type DeviceCluster,
  EXTERNAL_SNAPSHOT_ID,
  INVALID_BLOB_ID,
  type MdPage,
  NONE_U32,
  pageOfBlobId,
} from '../units/units.js';
import { ClusterMap } from './cluster-map.js';
import { SmallSet } from './mostly-empty.js';
import type { PageMap } from './page-map.js';
import { XattrList } from './xattr-list.js';

/** Names of the internal xattrs. */
export const INTERNAL_XATTR = {
  /** Id of the snapshot behind a clone. */
  SNAPSHOT: 'SNAP',
  /** On a snapshot being made: the id of the blob it is made of. */
  SNAPSHOT_IN_PROGRESS: 'SNAPTMP',
  /** On a snapshot being deleted: the id of its clone. */
  SNAPSHOT_PENDING_REMOVAL: 'SNAPRM',
  /** Id of the external snapshot behind a clone. */
  EXTERNAL_SNAPSHOT: 'EXTSNAP',
} as const;

const NO_SLOT = -1;
const NO_BLOBS: ReadonlySet<Blob> = new Set();

/** What the unallocated clusters of a thin blob read as. */
export type Backing =
  /** Zeroes. */
  | { kind: 'zeroes' }
  /** A snapshot in the same store; this reference keeps it open. */
  | { kind: 'blob'; blob: Blob }
  /** A read-only device outside the store. */
  | { kind: 'external'; device: BlockDevice };

/** The metadata of a blob that is open, or is being loaded or deleted. Metadata thread. */
export class Blob {
  readonly id: BlobId;
  /** First page of the chain. */
  readonly page: MdPage;
  readonly #shared: SharedStore;

  /** True only for a real `Blob`, not for an object of the same shape. */
  static is(value: unknown): value is Blob {
    return typeof value === 'object' && value !== null && #shared in value;
  }

  /** True when the blob belongs to the store of these shared structures. */
  isOf(shared: SharedStore): boolean {
    return this.#shared === shared;
  }

  /**
   * The next root relies on writes that are not behind a write barrier yet. Before that root is written, a barrier is
   * needed that begins after this was set.
   */
  chainAfterBarrier = false;
  #state: 'loading' | 'clean' | 'dirty' = 'dirty';
  /**
   * The chain on disk may differ from the one in memory. If false, a dirty blob differs from the disk only by entries
   * of extent pages that the root on disk names.
   */
  chainChanged = true;
  /** Data cannot be written. */
  dataRo = false;
  /** Metadata cannot be changed. */
  mdRo = false;
  flags: BlobFlags = { invalid: 0n, dataRo: 0n, mdRo: 0n };
  clearMethod: ClearMethod = 'default';
  usesExtentTable = false;
  readonly xattrs = new XattrList();
  readonly internalXattrs = new XattrList();

  clusterCount = 0;
  extentPageCount = 0;
  map: ClusterMap;
  /**
   * Extent pages, by index, that map more clusters than their copies on disk. All the additional clusters are
   * unallocated, so the copies on disk mean the same: these pages need not be written.
   */
  readonly lengthenedExtentPages = new SmallSet<number>();

  /** The pages of the chain on disk, in order. Empty if the blob was never written. */
  chain: MdPage[] = [];
  /** The number of clusters that the root on disk has for the blob. */
  syncedClusterCount = 0;
  /** While a root is being written: the number of clusters that it has for the blob. */
  rootClusterCount: number | undefined;
  /**
   * While a root is being written, and it is known which root the disk had before: the smaller one of the two roots'
   * numbers of clusters.
   */
  countedMeanwhile: number | undefined;
  /** A write of the root has failed: the disk may have the old root or the new one. */
  rootInDoubt = false;
  /** Extent pages that the root on disk names, but the next root will not. */
  replacedPages: MdPage[] = [];
  /** Pages that no root names any more, and that must still be zeroed and freed. */
  stalePages: MdPage[] = [];
  /** Clusters that nothing on disk names any more, and that must still be cleared and freed. */
  staleClusters: DeviceCluster[] = [];

  parentId: BlobId = INVALID_BLOB_ID;
  #back: Backing | undefined;
  #clones: Set<Blob> | undefined;
  openRefs = 0;
  /** A snapshot, clone, resize, inflate, copy or delete of this blob is under way. */
  locked = false;
  /** The number of operations on its clones that need its map and its parent to stay as they are. */
  reliedOn = 0;
  /** The number of releases of clusters that are under way. */
  releasing = 0;
  /** True once its deletion from disk has begun. */
  deleting = false;
  /** The user's context for the external snapshot callback, as given when the blob was opened. */
  externalContext: unknown;

  /** Runs the writes of the blob's metadata to disk one after another. Callers during one share the next. */
  readonly persists = new Coalescer();
  /** The blob was closed, or is permanently deleted: its metadata must not be written any more. */
  isGone = false;
  /**
   * Runs the steps of its deletion one after another. They could overlap otherwise, because creating a blob also
   * continues deletions that have not ended.
   */
  readonly deletions = new Coalescer();
  #unsynced: PageMap<Blob> | undefined;
  #slot = NO_SLOT;
  #generation = 0;

  constructor(shared: SharedStore, id: BlobId) {
    this.#shared = shared;
    this.id = id;
    this.page = pageOfBlobId(id);
    this.map = new ClusterMap(shared.maps);
  }

  /** What unallocated clusters read as; undefined for a thick blob, or if the external snapshot is missing. */
  get back(): Backing | undefined {
    return this.#back;
  }

  set back(back: Backing | undefined) {
    if (this.#back?.kind === 'blob') this.#back.blob.#clones?.delete(this);
    this.#back = back;
    if (back?.kind !== 'blob') return;
    back.blob.#clones ??= new Set();
    back.blob.#clones.add(this);
  }

  /** The open blobs whose `back` is this blob. */
  get clones(): ReadonlySet<Blob> {
    return this.#clones ?? NO_BLOBS;
  }

  /** `loading` until it is read from disk; `dirty` while memory differs from the disk. */
  get state(): 'loading' | 'clean' | 'dirty' {
    return this.#state;
  }

  /** `dirty` says that anything may have changed, so the next persist writes the chain. */
  set state(state: 'loading' | 'clean' | 'dirty') {
    this.#state = state;
    if (state === 'dirty') this.#unsynced?.set(this.page, this);
    this.chainChanged = state === 'dirty';
  }

  /**
   * From now on the blob adds itself to the map `unsynced` whenever it becomes dirty; if it is dirty already, in this
   * call. It leaves the map that it was tracked in before.
   */
  trackIn(unsynced: PageMap<Blob> | undefined): void {
    this.#unsynced?.delete(this.page);
    this.#unsynced = unsynced;
    if (this.#state === 'dirty') unsynced?.set(this.page, this);
  }

  /** To be called when a persist has ended. Leaves the map if a flush of the store has nothing to do for the blob. */
  leaveIfSynced(): void {
    if (this.#state === 'dirty' || this.isBecomingReadOnly || this.reclaimableCount > 0) return;
    this.#unsynced?.delete(this.page);
  }

  /** True if the next sync makes the blob read-only. */
  get isBecomingReadOnly(): boolean {
    return (this.flags.dataRo & DATA_RO_FLAG_READ_ONLY) !== 0n && !(this.dataRo && this.mdRo);
  }

  /** The number of clusters that the blob does not use any more, and that a persist releases. */
  get reclaimableCount(): number {
    return this.map.dropped.length + this.map.uncertain.length + this.staleClusters.length;
  }

  /** Makes the blob dirty by a change of entries of extent page `index`; undefined: the blob has no extent pages. */
  markMapChanged(index: number | undefined): void {
    const { chainChanged } = this;
    this.state = 'dirty';
    if (index === undefined) return;
    this.map.dirtyExtentPages.add(index);
    this.chainChanged = chainChanged;
  }

  get isThin(): boolean {
    return (this.flags.invalid & INVALID_FLAG.THIN) !== 0n;
  }

  get isExternalClone(): boolean {
    return (this.flags.invalid & INVALID_FLAG.EXTERNAL_SNAPSHOT) !== 0n;
  }

  /** True for a clone of a snapshot in this store. */
  get isClone(): boolean {
    return this.parentId !== INVALID_BLOB_ID && this.parentId !== EXTERNAL_SNAPSHOT_ID;
  }

  /** Clusters allocated in the blob itself, without those of the snapshot behind it. */
  get allocatedCount(): number {
    return this.map.allocatedCount;
  }

  /** A copy of the id of the external snapshot behind the blob; undefined if there is none. */
  get externalSnapshotId(): Uint8Array | undefined {
    return this.isExternalClone ? this.internalXattrs.get(INTERNAL_XATTR.EXTERNAL_SNAPSHOT)?.slice() : undefined;
  }

  get isReadOnly(): boolean {
    return this.dataRo || this.mdRo;
  }

  /** The slot of the blob's block in shared memory. Throws EBADF when the blob is not open. */
  get slot(): number {
    if (this.#slot === NO_SLOT) throw new BlobstoreError('EBADF', `blob ${this.id} is closed`);
    return this.#slot;
  }

  /** The generation of its block, by which channels check that the block still belongs to this blob. */
  get generation(): number {
    return this.#generation;
  }

  get isOpen(): boolean {
    return this.#slot !== NO_SLOT;
  }

  /** The device cluster of cluster `index`, or 0. */
  clusterAt(index: number): DeviceCluster {
    return this.map.clusters.get(index) as DeviceCluster;
  }

  setThin(): void {
    this.flags.invalid |= INVALID_FLAG.THIN;
    this.state = 'dirty';
  }

  setClearMethod(method: ClearMethod): void {
    this.clearMethod = method;
    this.flags.mdRo |= clearMethodBits(method);
    this.state = 'dirty';
  }

  /** Marks the blob as read-only on disk, from its next sync on. */
  setReadOnly(): void {
    this.flags.dataRo |= DATA_RO_FLAG_READ_ONLY;
    this.state = 'dirty';
  }

  /**
   * Sets an xattr in memory.
   * @param name - one character for each byte
   * @throws EPERM when the metadata is read-only, ENOMEM when name and value do not fit into one page.
   */
  setXattr(name: string, value: Uint8Array, internal: boolean): void {
    this.#requireWritableMetadata('an xattr');
    const bytes = xattrDescriptorBytes({ name, value });
    if (bytes > XATTR_DESCRIPTOR_BYTES_MAX) {
      const limit = `takes ${bytes} bytes of a metadata page, which has room for ${XATTR_DESCRIPTOR_BYTES_MAX}`;
      throw new BlobstoreError('ENOMEM', `xattr '${name.slice(0, 64)}' with a value of ${value.length} bytes ${limit}`);
    }
    if (internal) this.flags.invalid |= INVALID_FLAG.INTERNAL_XATTR;
    (internal ? this.internalXattrs : this.xattrs).set(name, value);
    this.state = 'dirty';
  }

  /**
   * Removes an xattr in memory. Throws EPERM when the metadata is read-only, ENOENT when there is no xattr of that
   * name.
   */
  removeXattr(name: string, internal: boolean): void {
    this.#requireWritableMetadata('an xattr');
    if (!(internal ? this.internalXattrs : this.xattrs).remove(name)) {
      throw new BlobstoreError('ENOENT', `the blob has no xattr '${name}'`);
    }
    if (internal && this.internalXattrs.isEmpty) this.flags.invalid &= ~INVALID_FLAG.INTERNAL_XATTR;
    this.state = 'dirty';
  }

  /**
   * The blob id in an internal xattr; undefined when there is no such xattr. Throws EINVAL when its value is not 8
   * bytes long.
   */
  internalId(name: string): BlobId | undefined {
    const value = this.internalXattrs.get(name);
    if (value === undefined) return undefined;
    if (value.length !== 8) {
      throw new BlobstoreError(
        'EINVAL',
        `blob ${this.id}: internal xattr ${name} has ${value.length} bytes, an id has 8`,
      );
    }
    return new DataView(value.buffer, value.byteOffset, 8).getBigUint64(0, true);
  }

  setInternalId(name: string, id: BlobId): void {
    this.setXattr(name, idToBytes(id), true);
  }

  /** The content for the chain of this blob on disk. */
  chainContent(): ChainContent {
    return {
      id: this.id,
      flags: this.flags,
      xattrs: this.xattrs.entries,
      internalXattrs: this.internalXattrs.entries,
      clusterCount: this.clusterCount,
      extentTable: this.usesExtentTable ? this.#extentTable() : undefined,
      clusterAt: (index) => this.map.clusterForDisk(index),
    };
  }

  /** The metadata pages of the extent pages in the blob's map. */
  extentPageNumbers(): MdPage[] {
    const pages: MdPage[] = [];
    this.map.extentPages.forEachSet((page) => pages.push(page as MdPage));
    return pages;
  }

  #extentTable(): ExtentTableEntry[] {
    const entries: ExtentTableEntry[] = [];
    let next = 0;
    const skipTo = (index: number) => {
      if (index > next) entries.push({ page: NO_EXTENT_PAGE, count: index - next });
    };
    const add = (page: number, index: number) => {
      skipTo(index);
      entries.push({ page: page as MdPage, count: 1 });
      next = index + 1;
    };
    this.map.extentPages.forEachSet(add, 0, this.extentPageCount);
    skipTo(this.extentPageCount);
    return entries;
  }

  /**
   * Allocates a block in shared memory, so that channels can find the blob once it is published. Throws ENOMEM when too
   * many blobs are open.
   */
  attach(): void {
    assert(this.#slot === NO_SLOT, 'a blob was opened twice');
    this.#slot = this.#shared.blobs.allocate();
    this.#generation = this.#shared.blobs.load(this.#slot, BLOB.GENERATION);
    this.#shared.blobs.store(this.#slot, BLOB.ID_PAGE, this.page);
  }

  /** Frees the block. Throws EBADF when there is none. */
  detach(): void {
    this.#shared.blobs.free(this.slot);
    this.#slot = NO_SLOT;
  }

  /**
   * Writes the values that channels need into the block. Call it after every change of these values; while the blob is
   * frozen if the map has moved. Call it also after parts of the map were freed, before anything is allocated in the
   * arena.
   */
  publish(): void {
    if (this.#slot === NO_SLOT) return;
    const { blobs } = this.#shared;
    const flags =
      BLOB_FLAG.OPEN |
      (this.dataRo || this.#shared.refusesWrites ? BLOB_FLAG.DATA_RO : 0) |
      (this.isThin ? BLOB_FLAG.THIN : 0) |
      (this.usesExtentTable ? BLOB_FLAG.EXTENT_TABLE : 0);
    blobs.store(this.#slot, BLOB.MAP_OFFSET, this.map.clusters.offset);
    blobs.store(this.#slot, BLOB.EXTENTS_OFFSET, this.map.extentPages.offset);
    blobs.store(this.#slot, BLOB.CLUSTER_COUNT, this.clusterCount);
    blobs.store(this.#slot, BLOB.PARENT_PAGE, this.isClone ? pageOfBlobId(this.parentId) : NONE_U32);
    blobs.store(this.#slot, BLOB.BACK_SLOT, this.back?.kind === 'blob' ? this.back.blob.slot : 0);
    blobs.store(this.#slot, BLOB.BACK_KIND, backKind(this.back));
    blobs.store(this.#slot, BLOB.FLAGS, flags);
    blobs.add(this.#slot, BLOB.MAP_EPOCH, 1); // last: a thread that sees this epoch also sees the new words above
  }

  /** Frees the block and the lists. The blob must not be used any more. */
  free(): void {
    this.isGone = true;
    if (this.#slot !== NO_SLOT) this.detach();
    this.map.free();
  }

  #requireWritableMetadata(what: string): void {
    if (this.mdRo) throw new BlobstoreError('EPERM', `blob ${this.id} is read-only: ${what} cannot be changed`);
  }
}

/** A blob id as 8 bytes, little endian. */
export function idToBytes(id: BlobId): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, id, true);
  return bytes;
}

function backKind(back: Backing | undefined): number {
  switch (back?.kind) {
    case 'zeroes':
      return BACK.ZEROES;
    case 'blob':
      return BACK.BLOB;
    case 'external':
      return BACK.EXTERNAL;
    default:
      return BACK.NONE;
  }
}
