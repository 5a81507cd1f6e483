/** Creating blobs. */

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
import { persist } from './persist.js';
import { changeSize, coverNewClusters } from './resize.js';

const EXTERNAL_ID_BYTES_MAX = 0xffff;

/** What a new blob is to be. Every field has a default. */
export interface CreateBlobOptions {
  /** Size in clusters; default 0. */
  clusterCount?: number;
  /** Take clusters only when they are first written. */
  thin?: boolean;
  /** How clusters are cleared when they are given back. */
  clearMethod?: ClearMethod;
  /** Map clusters by extent pages; false: by runs in the blob's own chain. Default true. */
  useExtentTable?: boolean;
  /** Names (one character a byte) and values, none of them empty. */
  xattrs?: readonly Xattr[];
  /** Makes the blob a clone of the external snapshot with this id. */
  externalSnapshotId?: Uint8Array;
}

/**
 * Creates a blob and writes its metadata.
 * @param internalXattrs - for snapshots and clones
 * @throws ENOMEM no metadata page is free, or an xattr is too long; EINVAL an empty value or id; ENOSPC a thick blob that
 * does not fit. Nothing is left behind.
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

/** As `createBlob`, and leaves the blob open. */
export function* createOpenBlob(
  store: StoreState,
  options: CreateBlobOptions,
  internalXattrs: readonly Xattr[],
): Steps<Blob> {
  const blob = yield* writeNewBlob(store, options, internalXattrs, true);
  if (blob.isThin) blob.back = ZEROES;
  blob.publish();
  blob.openRefs = 1;
  store.openBlobs.set(blob.page, blob);
  return blob;
}

function* writeNewBlob(
  store: StoreState,
  options: CreateBlobOptions,
  internalXattrs: readonly Xattr[],
  attach: boolean,
): Steps<Blob> {
  store.requireOpen();
  yield* finishAllDeletes(store); // what failed before gives back what it took, and cannot come back after a crash
  const page = claimBlobPage(store);
  const blob = new Blob(store.shared, blobIdOfPage(page));
  try {
    if (attach) blob.attach();
    describe(blob, options, internalXattrs);
    changeSize(store, blob, options.clusterCount ?? 0);
    yield* coverNewClusters(store, blob, 0);
    yield* persist(store, blob);
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
 * Gives back what a blob that could not be created has taken. If its root may be on disk, the blob is deleted; should that
 * fail too, everything stays taken until it is gone, because after a crash it might be there.
 */
function* undoCreate(store: StoreState, blob: Blob): Steps<void> {
  if (blob.rootInDoubt) {
    blob.chain = [blob.page]; // the other pages of the chain are among the stale ones
    return yield* discardOpen(store, blob);
  }
  const { clusters, extentPages } = blob.map;
  const takenClusters: DeviceCluster[] = [...blob.staleClusters];
  const takenPages: MdPage[] = [blob.page, ...blob.stalePages, ...blob.replacedPages];
  for (let index = 0; index < clusters.count; index++) {
    if (clusters.get(index) !== 0) takenClusters.push(clusters.get(index) as DeviceCluster);
  }
  for (let index = 0; index < extentPages.count; index++) {
    if (extentPages.get(index) !== 0) takenPages.push(extentPages.get(index) as MdPage);
  }
  store.usedBlobIds.clear(blob.page);
  releaseClusters(store, takenClusters);
  releasePages(store, takenPages);
  blob.free();
}
