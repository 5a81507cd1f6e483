/** Creates blobs. */

import { ZEROES } from '../blob/backing.js';
import { Blob, INTERNAL_XATTR } from '../blob/blob.js';
import { type ClearMethod, INVALID_FLAG } from '../format/flags.js';
import type { Xattr } from '../format/xattr.js';
import type { StoreState } from '../state/store-state.js';
import type { Steps } from '../steps/steps.js';
import { BlobstoreError } from '../units/error.js';
import { type BlobId, blobIdOfPage, type DeviceCluster, type MdPage, NONE_U32 } from '../units/units.js';
import { releaseClusters, releasePages } from './clearing.js';
import { discardOpen, finishAllDeletes } from './delete.js';
import { persist, persistUntilBarrier } from './persist.js';
import { changeSize, coverNewClusters } from './resize.js';

const EXTERNAL_ID_BYTES_MAX = 0xffff;

/** The properties of a new blob. Every field has a default. */
export interface CreateBlobOptions {
  /** Size in clusters. Default: 0. */
  clusterCount?: number;
  /** Allocates clusters only when they are first written. Default: false. */
  thin?: boolean;
  /** How clusters are cleared before they are released. Default: 'default', which unmaps them. */
  clearMethod?: ClearMethod;
  /** Maps clusters by extent pages; if false, by runs in the blob's own chain. Default: true. */
  useExtentTable?: boolean;
  /** Names (one character per byte) and values, none of them empty. Default: none. */
  xattrs?: readonly Xattr[];
  /** Makes the blob a clone of the external snapshot with this id, 1 to 65535 bytes. Default: no external snapshot. */
  externalSnapshotId?: Uint8Array;
}

/**
 * Creates a blob and writes its metadata.
 * @param internalXattrs - for snapshots and clones
 * @throws ENOMEM no metadata page is free, or an xattr is too long, or the map is too large; EINVAL an empty value, or
 * an id that is empty or too long; ENOSPC a thick blob that does not fit. Nothing is left behind.
 */
export function* createBlob(
  store: StoreState,
  options: CreateBlobOptions = {},
  internalXattrs: readonly Xattr[] = [],
): Steps<BlobId> {
  const blob = yield* writeNewBlob(store, options, internalXattrs, false);
  blob.free();
  return blob.id;
}

/**
 * Like `createBlob`, but the blob stays open, and the root may not be on the medium before the blob's next persist has
 * ended.
 */
export function* createOpenBlob(
  store: StoreState,
  options: CreateBlobOptions,
  internalXattrs: readonly Xattr[],
): Steps<Blob> {
  const blob = yield* writeNewBlob(store, options, internalXattrs, true);
  if (blob.isThin) blob.back = ZEROES;
  blob.publish();
  blob.openRefs = 1;
  store.addOpen(blob);
  return blob;
}

function* writeNewBlob(
  store: StoreState,
  options: CreateBlobOptions,
  internalXattrs: readonly Xattr[],
  attach: boolean,
): Steps<Blob> {
  store.requireOpen();
  yield* finishAllDeletes(store); // failed ones: frees what they hold, and their blobs cannot reappear after a crash
  const page = claimBlobPage(store);
  const blob = new Blob(store.shared, blobIdOfPage(page));
  try {
    if (attach) blob.attach();
    describe(blob, options, internalXattrs);
    changeSize(store, blob, options.clusterCount ?? 0);
    yield* coverNewClusters(store, blob, 0);
    yield* attach ? persistUntilBarrier(store, blob) : persist(store, blob);
  } catch (error) {
    yield* undoCreate(store, blob);
    throw error;
  }
  return blob;
}

function claimBlobPage(store: StoreState): MdPage {
  const page = store.shared.locked(() => {
    const free = store.shared.pages.findFree(0);
    if (free !== NONE_U32) store.shared.pages.claim(free as MdPage);
    return free;
  });
  if (page === NONE_U32) {
    const found = `all ${store.geometry.mdPageCount} pages of the metadata region are in use`;
    throw new BlobstoreError('ENOMEM', `no room for another blob: ${found}; delete blobs or xattrs first`);
  }
  store.usedBlobIds.set(page);
  return page as MdPage;
}

function describe(blob: Blob, options: CreateBlobOptions, internalXattrs: readonly Xattr[]): void {
  blob.usesExtentTable = options.useExtentTable ?? true;
  if (blob.usesExtentTable) blob.flags.invalid |= INVALID_FLAG.EXTENT_TABLE;
  setXattrs(blob, options.xattrs ?? [], false);
  setXattrs(blob, internalXattrs, true);
  if (options.thin) blob.setThin();
  blob.setClearMethod(options.clearMethod ?? 'default');
  if (options.externalSnapshotId !== undefined) makeExternalClone(blob, options.externalSnapshotId);
}

function setXattrs(blob: Blob, xattrs: readonly Xattr[], internal: boolean): void {
  for (const { name, value } of xattrs) {
    if (value.length === 0) throw new BlobstoreError('EINVAL', `xattr '${name}' needs a value`);
    blob.setXattr(name, value, internal);
  }
}

function makeExternalClone(blob: Blob, snapshotId: Uint8Array): void {
  if (snapshotId.length === 0 || snapshotId.length > EXTERNAL_ID_BYTES_MAX) {
    const range = `1 to ${EXTERNAL_ID_BYTES_MAX} bytes`;
    throw new BlobstoreError('EINVAL', `the id of an external snapshot has ${range}, not ${snapshotId.length}`);
  }
  blob.setThin();
  blob.flags.invalid |= INVALID_FLAG.EXTERNAL_SNAPSHOT;
  blob.setXattr(INTERNAL_XATTR.EXTERNAL_SNAPSHOT, snapshotId, true);
}

/**
 * Releases what a blob that could not be created has taken. If its root may be on disk, the blob is deleted. If that
 * fails too, everything stays allocated until it is deleted, because the blob may be there after a crash.
 */
function* undoCreate(store: StoreState, blob: Blob): Steps<void> {
  if (blob.rootInDoubt) {
    blob.chain = [blob.page]; // the other pages of the chain are stale pages already
    return yield* discardOpen(store, blob);
  }
  const takenClusters: DeviceCluster[] = [...blob.staleClusters];
  const takenPages: MdPage[] = [blob.page, ...blob.extentPageNumbers(), ...blob.stalePages, ...blob.replacedPages];
  blob.map.clusters.forEachSet((cluster) => takenClusters.push(cluster as DeviceCluster));
  store.usedBlobIds.clear(blob.page);
  releaseClusters(store, takenClusters);
  releasePages(store, takenPages);
  blob.free();
}
