/**
 * Deletes blobs. On disk, first the root page is zeroed, with a barrier: from then on the blob is gone. Then what only
 * this root named is cleared, without a barrier, and released. After a failure in between, the rest stays allocated,
 * and deleting the blob again continues from there.
 */

import type { Blob } from '../blob/blob.js';
import { uncertainClusters } from '../blob/cluster-map.js';
import type { StoreState } from '../state/store-state.js';
import { markDirty } from '../state/super-block-io.js';
import { ENDED, type Steps } from '../steps/steps.js';
import { BlobstoreError } from '../units/error.js';
import { type BlobId, type DeviceCluster, type MdPage, pageOfBlobId } from '../units/units.js';
import { requireUnlocked } from './blob-lock.js';
import { clearStale, zeroPages } from './clearing.js';
import { adoptBySoleClone } from './delete-snapshot.js';
import { dropReference, findOpen, freeBacking, openBlob } from './open-close.js';
import { noteUnsettled, settle } from './settle.js';

/**
 * Deletes a blob. If it is a snapshot with one clone, the clone takes over its clusters.
 * @throws ENOENT no such blob; EBUSY it is open elsewhere, it has more than one clone, another operation is running on
 * it, or a damaged blob may be its clone; or an error of writing, after which deleting it again continues
 */
export function* deleteBlob(store: StoreState, id: BlobId): Steps<void> {
  store.requireOpen();
  const unfinished = store.unfinishedDeletes.get(pageOfBlobId(id));
  if (unfinished?.id === id) return yield* resumeDelete(store, unfinished);
  const blob = yield* openBlob(store, id);
  let cloneOnDisk: MdPage | undefined;
  try {
    requireNoHiddenClone(store, blob);
    const clone = soleClone(store, blob);
    requireUnlocked(blob, 'delete');
    blob.locked = true;
    blob.deleting = true; // it cannot be opened any more
    yield* settle(store, blob);
    if (clone !== undefined) {
      yield* adoptBySoleClone(store, blob, clone);
      hide(store, blob); // the clone has its clusters: this cannot be undone any more
      cloneOnDisk = pageOfBlobId(clone);
    }
    yield* blob.deletions.alone(() => takeOff(store, blob));
  } catch (error) {
    // The snapshot on disk may still name clusters that the clone has now.
    if (cloneOnDisk !== undefined) noteUnsettled(store, [cloneOnDisk, blob.page], () => finishDelete(store, blob));
    if (!store.unfinishedDeletes.has(blob.page)) {
      if (blob.deleting) blob.locked = false;
      blob.deleting = false;
      yield* dropReference(store, blob);
    }
    throw error;
  }
  yield* finishDelete(store, blob);
}

/**
 * Returns the only clone of a snapshot; undefined when it has none. EBUSY when it has more, or the blob is open
 * elsewhere.
 */
function soleClone(store: StoreState, blob: Blob): BlobId | undefined {
  const clones = store.snapshots.clonesOf(blob.id);
  if (clones.length > 1) {
    const advice = 'delete, inflate or decouple all but one of them first';
    throw new BlobstoreError('EBUSY', `blob ${blob.id} is a snapshot with ${clones.length} clones: ${advice}`);
  }
  const [clone] = clones;
  const cloneIsOpen = clone !== undefined && findOpen(store, clone) !== undefined;
  const expectedRefs = cloneIsOpen ? 2 : 1; // this deletion's own reference, and that of the open clone
  if (blob.openRefs > expectedRefs)
    throw new BlobstoreError('EBUSY', `blob ${blob.id} is open: close it everywhere first`);
  return clone;
}

/**
 * Throws EBUSY when a blob that was set aside as damaged may be a clone of this one. Clones are made of read-only
 * blobs, so only these are refused.
 */
function requireNoHiddenClone(store: StoreState, blob: Blob): void {
  if (!store.hidesParents || !blob.dataRo) return;
  const reason = 'a damaged blob may be a clone of it, and would lose the data that it reads from it';
  throw new BlobstoreError('EBUSY', `blob ${blob.id} is a snapshot, or read-only: ${reason}; repair the store first`);
}

/**
 * Zeroes the root of the blob, with a barrier. When this fails, the root may still be on disk, and closing the blob
 * writes it again.
 */
function* zeroRoot(store: StoreState, blob: Blob): Steps<void> {
  yield* markDirty(store);
  blob.state = 'dirty';
  blob.rootInDoubt = true;
  yield* zeroPages(store, [blob.page]);
  yield* store.barrier();
  forget(store, blob);
}

/** Hides a blob whose deletion cannot be undone, but is not complete yet. */
export function hide(store: StoreState, blob: Blob): void {
  store.removeOpen(blob);
  store.closedBlobs.delete(blob.page);
  store.unfinishedDeletes.set(blob.page, blob);
}

/**
 * Removes a blob that is deleted on disk from the lists in memory, and marks all of its pages and clusters as stale.
 */
function forget(store: StoreState, blob: Blob): void {
  const { clusters } = blob.map;
  blob.isGone = true;
  store.insertionLog?.retire(store.insertionLog.seal(blob.page));
  store.snapshots.removeSnapshot(blob.id);
  store.snapshots.remove(blob.parentId, blob.id);
  hide(store, blob);
  clusters.forEachSet((cluster) => blob.staleClusters.push(cluster as DeviceCluster));
  blob.staleClusters = blob.staleClusters.concat(blob.map.dropped, uncertainClusters(blob.map));
  blob.stalePages.push(...blob.chain.slice(1));
  blob.stalePages.push(...blob.extentPageNumbers());
  blob.stalePages.push(...blob.replacedPages, blob.page);
  blob.replacedPages = [];
  blob.map.clear();
  blob.publish();
  blob.map.dropped = [];
  blob.map.uncertain = [];
  blob.chain = [];
}

/** Deletes the blob from the disk, unless another call that continues its deletion has done so. */
function takeOff(store: StoreState, blob: Blob): Steps<void> {
  if (blob.chain.length === 0) return ENDED;
  // Not while a flush persists the blob: that would write the root again.
  return blob.persists.alone(() => zeroRoot(store, blob));
}

/**
 * Deletes the hidden blob from the disk if it is still there, clears its pages and clusters, and releases them. Several
 * calls can run at the same time, since creating a blob also finishes unfinished deletions. They run one after another;
 * the first one does the work.
 */
export function finishDelete(store: StoreState, blob: Blob): Steps<void> {
  return blob.deletions.alone(() => finishAlone(store, blob));
}

function* finishAlone(store: StoreState, blob: Blob): Steps<void> {
  if (store.unfinishedDeletes.get(blob.page) !== blob) return;
  yield* takeOff(store, blob);
  yield* freeBacking(store, blob); // before the steps below: if one fails, the parent must not stay open
  yield* clearStale(store, blob);
  store.usedBlobIds.clear(blob.page);
  store.unfinishedDeletes.delete(blob.page);
  blob.free();
}

/** Deletes an open blob that no user has seen yet. If a step fails, unloading the store continues the deletion. */
export function* discardOpen(store: StoreState, blob: Blob): Steps<void> {
  hide(store, blob);
  try {
    yield* finishDelete(store, blob);
  } catch {
    // it stays in the list of unfinished deletions
  }
}

/** Continues a deletion that failed in between. */
function* resumeDelete(store: StoreState, blob: Blob): Steps<void> {
  yield* settle(store, blob); // this may delete the blob already
  if (store.unfinishedDeletes.get(blob.page) === blob) yield* finishDelete(store, blob);
}

/** Continues every deletion that failed in between. */
export function finishAllDeletes(store: StoreState): Steps<void> {
  return store.unfinishedDeletes.size === 0 ? ENDED : finishSomeDeletes(store);
}

function* finishSomeDeletes(store: StoreState): Steps<void> {
  for (const blob of store.unfinishedDeletes.values()) yield* resumeDelete(store, blob);
}

/** True for the first page of a blob whose deletion has begun and is not complete. */
export function isHidden(store: StoreState, page: MdPage): boolean {
  return store.unfinishedDeletes.has(page);
}
