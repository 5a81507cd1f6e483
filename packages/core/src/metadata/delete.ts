/**
 * Deleting blobs. On disk: first the root page is zeroed, durably, and with it the blob is gone; then what only it named is
 * cleared, durably, and given back. A failure between leaves the rest taken, and deleting again goes on from there.
 */

import type { Blob } from '../blob/blob.js';
import { uncertainClusters } from '../blob/cluster-map.js';
import type { StoreState } from '../state/store-state.js';
import { markDirty } from '../state/super-block-io.js';
import type { Steps } from '../steps/steps.js';
import { BlobstoreError } from '../units/error.js';
import { type BlobId, type DeviceCluster, type MdPage, pageOfBlobId } from '../units/units.js';
import { requireUnlocked } from './blob-lock.js';
import { clearStale, zeroPages } from './clearing.js';
import { adoptBySoleClone } from './delete-snapshot.js';
import { dropReference, findOpen, freeBacking, openBlob } from './open-close.js';
import { noteUnsettled, settle } from './settle.js';

/**
 * Deletes a blob. A snapshot with one clone hands its clusters to the clone.
 * @throws ENOENT no such blob, EBUSY it is open elsewhere, has more than one clone, or another operation is on it; an error
 * of writing, after which deleting it again goes on.
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
    blob.deleting = true; // nobody may open it any more
    yield* settle(store, blob);
    if (clone !== undefined) {
      yield* adoptBySoleClone(store, blob, clone);
      hide(store, blob); // it is hollow now: there is no way back
      cloneOnDisk = pageOfBlobId(clone);
    }
    yield* blob.deletions.alone(() => takeOff(store, blob));
  } catch (error) {
    // While the hollow snapshot is on disk it may name there what the clone has now.
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

/** The one clone of a snapshot; undefined when there is none. EBUSY when there are more, or the blob is open elsewhere. */
function soleClone(store: StoreState, blob: Blob): BlobId | undefined {
  const clones = store.snapshots.clonesOf(blob.id);
  if (clones.length > 1) {
    const advice = 'delete, inflate or decouple all but one of them first';
    throw new BlobstoreError('EBUSY', `blob ${blob.id} is a snapshot with ${clones.length} clones: ${advice}`);
  }
  const [clone] = clones;
  const cloneIsOpen = clone !== undefined && findOpen(store, clone) !== undefined;
  const expectedRefs = cloneIsOpen ? 2 : 1; // this deletion's own, and that of an open clone
  if (blob.openRefs > expectedRefs)
    throw new BlobstoreError('EBUSY', `blob ${blob.id} is open: close it everywhere first`);
  return clone;
}

/** EBUSY when a blob that was set aside may be a clone of this one: clones are made of read-only blobs. */
function requireNoHiddenClone(store: StoreState, blob: Blob): void {
  if (!store.hidesParents || !blob.dataRo) return;
  const reason = 'a damaged blob may be a clone of it, and would lose what it shows of it';
  throw new BlobstoreError('EBUSY', `blob ${blob.id} is a snapshot, or read-only: ${reason}; repair the store first`);
}

/** Takes the blob off the disk. When this fails the blob may still be there, and closing it writes it again. */
function* zeroRoot(store: StoreState, blob: Blob): Steps<void> {
  yield* markDirty(store);
  blob.state = 'dirty';
  blob.rootInDoubt = true;
  yield* zeroPages(store, [blob.page]);
  yield* store.barrier();
  forget(store, blob);
}

/** Takes a blob out of sight whose deletion cannot be undone, but is not done either. */
export function hide(store: StoreState, blob: Blob): void {
  store.openBlobs.delete(blob.page);
  store.unfinishedDeletes.set(blob.page, blob);
}

/** Takes a blob that is off the disk out of memory's lists, and marks all that it had as stale. */
function forget(store: StoreState, blob: Blob): void {
  const { clusters, extentPages } = blob.map;
  blob.isGone = true;
  store.insertionLog?.retire(store.insertionLog.seal(blob.page));
  store.snapshots.removeSnapshot(blob.id);
  store.snapshots.remove(blob.parentId, blob.id);
  hide(store, blob);
  for (const cluster of clusters.entries()) if (cluster !== 0) blob.staleClusters.push(cluster as DeviceCluster);
  blob.staleClusters = blob.staleClusters.concat(blob.map.dropped, uncertainClusters(blob.map));
  blob.stalePages.push(...blob.chain.slice(1));
  for (let index = 0; index < extentPages.count; index++) {
    const page = extentPages.get(index) as MdPage;
    if (page !== 0) blob.stalePages.push(page);
  }
  blob.stalePages.push(...blob.replacedPages, blob.page);
  blob.replacedPages = [];
  blob.map.clear();
  blob.map.dropped = [];
  blob.map.uncertain = [];
  blob.chain = [];
}

/** Takes the blob off the disk unless somebody who goes on with its deletion has done so. */
function* takeOff(store: StoreState, blob: Blob): Steps<void> {
  if (blob.chain.length === 0) return;
  // A persist that a flush has begun would put the root back.
  yield* blob.persists.alone(() => zeroRoot(store, blob));
}

/**
 * Takes the blob, which is hidden, off the disk if it is still there, clears what it has left, and gives it back. Several may
 * be about it at once, since whoever creates a blob finishes what is unfinished: the first one does it.
 */
export function* finishDelete(store: StoreState, blob: Blob): Steps<void> {
  yield* blob.deletions.alone(function* () {
    if (store.unfinishedDeletes.get(blob.page) === blob) yield* finishAlone(store, blob);
  });
}

function* finishAlone(store: StoreState, blob: Blob): Steps<void> {
  yield* takeOff(store, blob);
  yield* freeBacking(store, blob); // now, or a deletion that fails below would keep its parent open
  yield* clearStale(store, blob);
  store.usedBlobIds.clear(blob.page);
  store.unfinishedDeletes.delete(blob.page);
  blob.free();
}

/** Deletes a blob in memory that nobody else has seen. What fails is gone on with when the store is unloaded. */
export function* discardOpen(store: StoreState, blob: Blob): Steps<void> {
  hide(store, blob);
  try {
    yield* finishDelete(store, blob);
  } catch {
    // it stays hidden, among the unfinished
  }
}

/** Goes on with a deletion that failed half way. */
function* resumeDelete(store: StoreState, blob: Blob): Steps<void> {
  yield* settle(store, blob); // which may be what deletes it
  if (store.unfinishedDeletes.get(blob.page) === blob) yield* finishDelete(store, blob);
}

/** Goes on with every deletion that failed half way. */
export function* finishAllDeletes(store: StoreState): Steps<void> {
  for (const blob of [...store.unfinishedDeletes.values()]) yield* resumeDelete(store, blob);
}

/** True for the first page of a blob whose deletion began and has not ended. */
export function isHidden(store: StoreState, page: MdPage): boolean {
  return store.unfinishedDeletes.has(page);
}
