/**
 * The first half of deleting a snapshot that has one clone: the clone takes over the clusters that it reads from the
 * snapshot, so that the snapshot can be deleted. On disk:
 *
 * 1. The snapshot gets a mark that it is being removed, with its clone's id.
 * 2. New extent pages of the clone map the snapshot's clusters too; nothing names these pages yet.
 * 3. The clone's root names these pages, and the snapshot's parent as its own parent. From here on the clone does not
 *    need the snapshot.
 *
 * After a crash before step 3 the snapshot is still in use: loading removes the mark. After a crash after step 3
 * loading deletes the snapshot, but keeps the clusters that the clone has.
 */

import { showsData, ZEROES } from '../blob/backing.js';
import { type Backing, type Blob, INTERNAL_XATTR } from '../blob/blob.js';
import { type BlobFlags, INVALID_FLAG } from '../format/flags.js';
import { claimCluster, unclaimCluster } from '../shared/claim-cluster.js';
import type { StoreState } from '../state/store-state.js';
import { type Steps, wait } from '../steps/steps.js';
import { BlobstoreError } from '../units/error.js';
import { clustersInPage, extentPageIndex, extentPagesFor } from '../units/extent-pages.js';
import { type BlobCluster, type BlobId, EXTERNAL_SNAPSHOT_ID, INVALID_BLOB_ID, type MdPage } from '../units/units.js';
import { withBlobLocked } from './blob-lock.js';
import { renewExtentPage, restoreExtentPage, writeExtentPage } from './extent-pages.js';
import { closeExternalChannels } from './external.js';
import { frozen } from './freeze.js';
import { insertCluster } from './insert-cluster.js';
import { dropReference, openBlob } from './open-close.js';
import { persistUnsettled, persistUntilBarrier, sync } from './persist.js';
import { noteUnsettled, settle, trySettle } from './settle.js';

/**
 * Makes the only clone of `snapshot` independent of it. The snapshot keeps what the clone does not need. The caller
 * must delete the snapshot next. When this throws, both blobs are as before.
 */
export function* adoptBySoleClone(store: StoreState, snapshot: Blob, cloneId: BlobId): Steps<void> {
  const clone = yield* openBlob(store, cloneId);
  const cloneWasReadOnly = clone.mdRo;
  try {
    requireSameKind(snapshot, clone);
    yield* settle(store, clone);
    yield* withBlobLocked(store, clone, 'delete the snapshot of', () =>
      frozen(store, clone, () => takeOver(store, snapshot, clone)),
    );
  } finally {
    clone.mdRo = cloneWasReadOnly;
    yield* dropReference(store, clone);
  }
}

/**
 * Extent pages are taken over as they are, so both blobs must map their clusters in the same way. Clones that this
 * engine or the reference makes always map them as their snapshot does.
 */
function requireSameKind(snapshot: Blob, clone: Blob): void {
  if (snapshot.usesExtentTable === clone.usesExtentTable) return;
  if (snapshot.clusterCount === 0 || clone.clusterCount === 0) return;
  const kinds = 'one maps its clusters by extent pages, the other by runs';
  throw new BlobstoreError(
    'ENOTSUP',
    `blob ${clone.id} cannot take blob ${snapshot.id} over: ${kinds}; inflate it first`,
  );
}

function* takeOver(store: StoreState, snapshot: Blob, clone: Blob): Steps<void> {
  if (snapshot.isExternalClone) closeExternalChannels(store, snapshot);
  yield* coverPastEnd(store, snapshot, clone);
  reserveMerged(snapshot, clone);
  yield* markPendingRemoval(store, snapshot, clone);
  const before = new CloneBefore(clone);
  const merged = mergeMaps(store, snapshot, clone);
  relink(snapshot, clone);
  try {
    clone.mdRo = false;
    clone.chainAfterBarrier = true;
    yield* sync(store, clone);
  } catch (error) {
    yield* revert(store, snapshot, clone, before, merged);
    throw error;
  }
  yield* letGo(store, snapshot, clone, before);
}

/**
 * Past the end of the snapshot, a longer clone reads zeroes. Without the snapshot it would read the data of the
 * snapshot's parent there. So the clone gets zeroed clusters of its own for that range. They do not change what it
 * reads, even if the deletion fails.
 */
function* coverPastEnd(store: StoreState, snapshot: Blob, clone: Blob): Steps<void> {
  const { deviceChannel, geometry, shared } = store;
  for (let index = snapshot.clusterCount; index < clone.clusterCount; index++) {
    if (clone.clusterAt(index) !== 0 || !showsData(snapshot.back, index)) continue;
    const needsExtentPage = clone.usesExtentTable && clone.map.extentPages.get(extentPageIndex(index)) === 0;
    const claimed = claimCluster(shared, needsExtentPage);
    try {
      yield* wait(deviceChannel.writeZeroes(geometry.clusterToLba(claimed.cluster), geometry.blocksPerCluster));
    } catch (error) {
      unclaimCluster(shared, claimed);
      throw error;
    }
    yield* insertCluster(store, clone, index as BlobCluster, claimed);
    yield undefined;
  }
}

/** Makes the parts of the clone's map that `mergeMaps` sets, so that this cannot fail. Throws ENOMEM. */
function reserveMerged(snapshot: Blob, clone: Blob): void {
  const clusterCount = Math.min(snapshot.clusterCount, clone.clusterCount);
  const { clusters, extentPages } = clone.map;
  snapshot.map.clusters.forEachSet((_cluster, index) => clusters.reserve(index), 0, clusterCount);
  snapshot.map.extentPages.forEachSet((_page, index) => extentPages.reserve(index), 0, extentPages.count);
}

/** Step 1. The clone's persist has a barrier between the mark and the first write that needs it. */
function* markPendingRemoval(store: StoreState, snapshot: Blob, clone: Blob): Steps<void> {
  const wasReadOnly = snapshot.mdRo;
  snapshot.mdRo = false;
  try {
    snapshot.setInternalId(INTERNAL_XATTR.SNAPSHOT_PENDING_REMOVAL, clone.id);
    yield* persistUntilBarrier(store, snapshot);
  } catch (error) {
    snapshot.removeXattr(INTERNAL_XATTR.SNAPSHOT_PENDING_REMOVAL, true);
    throw error;
  } finally {
    snapshot.mdRo = wasReadOnly;
  }
}

/** The state of a clone before it takes over its snapshot's map. */
class CloneBefore {
  readonly parentId: BlobId;
  readonly back: Backing | undefined;
  readonly flags: BlobFlags;

  constructor(clone: Blob) {
    this.parentId = clone.parentId;
    this.back = clone.back;
    this.flags = { ...clone.flags };
  }
}

/** What the clone took over; used to undo that when its metadata cannot be written. */
interface Merged {
  clusters: number[];
  /** Extent pages that belong to the snapshot, too. */
  extentPages: number[];
  /** Extent pages for which the clone got a new page, with the clone's old page, or 0. */
  renewed: { index: number; old: MdPage }[];
}

/**
 * Fills the gaps of the clone's map with the snapshot's clusters.
 * Where the clone has no extent page, it takes over the snapshot's, if that maps exactly as many clusters as the clone
 * has there. Otherwise, and where both have one, the clone gets a new page with the clusters of both.
 * Only when the metadata region is full, pages are reused: the clone's own page is written in place, before its root.
 * The page of a longer snapshot is taken over as it is, and is shortened after the root: until the root is on disk the
 * page belongs to the snapshot, which needs all of it.
 */
function mergeMaps(store: StoreState, snapshot: Blob, clone: Blob): Merged {
  const merged: Merged = { clusters: [], extentPages: [], renewed: [] };
  const clusterCount = Math.min(snapshot.clusterCount, clone.clusterCount);
  snapshot.map.clusters.forEachLeaf(clone.map.clusters, clusterCount, (theirs, own, first) => {
    for (let at = 0; at < theirs.length; at++) {
      if (theirs[at] === 0 || own[at] !== 0) continue;
      own[at] = theirs[at]; // not atomic: the clone is frozen and drained
      clone.map.allocatedCount++;
      merged.clusters.push(first + at);
    }
  });
  const takePage = (page: number, index: number) => {
    const old = clone.map.extentPages.get(index) as MdPage;
    const surplus = clustersInPage(snapshot.clusterCount, index) - clustersInPage(clone.clusterCount, index);
    const isTaken = old === 0 && surplus === 0 && !snapshot.map.dirtyExtentPages.has(index);
    if (!isTaken && store.keepsHighWater && renewExtentPage(store, clone, index)) {
      merged.renewed.push({ index, old });
      return;
    }
    if (old === 0) {
      clone.map.extentPages.set(index, page);
      clone.map.unrootedExtentPages.add(index);
      merged.extentPages.push(index);
      if (surplus >= 0 && !snapshot.map.dirtyExtentPages.has(index)) return;
    }
    clone.map.dirtyExtentPages.add(index);
  };
  const extentPageCount = clone.usesExtentTable ? extentPagesFor(clusterCount) : 0;
  snapshot.map.extentPages.forEachSet(takePage, 0, extentPageCount);
  return merged;
}

/** Makes the snapshot's parent the clone's parent. */
function relink(snapshot: Blob, clone: Blob): void {
  const wasReadOnly = clone.mdRo;
  clone.mdRo = false;
  clone.parentId = snapshot.parentId;
  clone.back = snapshot.back ?? ZEROES;
  if (snapshot.parentId === EXTERNAL_SNAPSHOT_ID) {
    const id = snapshot.internalXattrs.get(INTERNAL_XATTR.EXTERNAL_SNAPSHOT);
    if (id) clone.setXattr(INTERNAL_XATTR.EXTERNAL_SNAPSHOT, id, true);
    clone.flags.invalid |= INVALID_FLAG.EXTERNAL_SNAPSHOT;
    clone.back = snapshot.back;
  } else if (snapshot.parentId === INVALID_BLOB_ID) {
    clone.back = ZEROES;
    if (clone.internalXattrs.get(INTERNAL_XATTR.SNAPSHOT)) clone.removeXattr(INTERNAL_XATTR.SNAPSHOT, true);
  } else {
    clone.setInternalId(INTERNAL_XATTR.SNAPSHOT, snapshot.parentId);
  }
  clone.mdRo = wasReadOnly;
  clone.state = 'dirty';
}

/** Removes from the snapshot what the clone took over. Its reference to its parent is now the clone's. */
function* letGo(store: StoreState, snapshot: Blob, clone: Blob, before: CloneBefore): Steps<void> {
  const { map } = snapshot;
  const clusterCount = Math.min(snapshot.clusterCount, clone.clusterCount);
  map.clusters.forEachLeaf(clone.map.clusters, clusterCount, (own, theirs) => {
    for (let at = 0; at < own.length; at++) {
      if (own[at] === 0 || own[at] !== theirs[at]) continue;
      own[at] = 0; // not atomic: only the clone could read the snapshot, and it is frozen and drained
      map.allocatedCount--;
    }
  });
  const dropPage = (page: number, index: number) => {
    if (page !== clone.map.extentPages.get(index)) return;
    map.extentPages.set(index, 0);
    if (clustersInPage(snapshot.clusterCount, index) <= clustersInPage(clone.clusterCount, index)) return;
    clone.map.dirtyExtentPages.add(index); // it still maps as many clusters as the snapshot had
    clone.state = 'dirty';
  };
  map.extentPages.forEachSet(dropPage, 0, clone.map.extentPages.count);
  store.snapshots.remove(snapshot.id, clone.id);
  if (snapshot.isClone) {
    store.snapshots.add(snapshot.parentId, clone.id);
    store.snapshots.remove(snapshot.parentId, snapshot.id);
  }
  snapshot.back = ZEROES;
  snapshot.parentId = INVALID_BLOB_ID;
  snapshot.setThin();
  if (!store.writesThrough) snapshot.state = 'clean'; // its root is zeroed next, and need not be written before
  clone.publish();
  if (before.back?.kind === 'blob') yield* dropReference(store, before.back.blob);
}

/**
 * Undoes everything in memory, then on disk. On disk the clone comes first, because its root there may not need the
 * snapshot any more; only after it may the snapshot's mark be removed.
 */
function* revert(store: StoreState, snapshot: Blob, clone: Blob, before: CloneBefore, merged: Merged): Steps<void> {
  for (const index of merged.clusters) {
    clone.map.clusters.set(index, 0);
    if (clone.usesExtentTable) clone.map.dirtyExtentPages.add(extentPageIndex(index)); // the page on disk may name them
  }
  clone.map.allocatedCount -= merged.clusters.length;
  for (const index of merged.extentPages) {
    clone.map.extentPages.set(index, 0);
    clone.map.unrootedExtentPages.delete(index);
    clone.map.dirtyExtentPages.delete(index);
  }
  for (const { index, old } of merged.renewed) restoreExtentPage(clone, index, old);
  clone.mdRo = false;
  if (snapshot.parentId === EXTERNAL_SNAPSHOT_ID) clone.removeXattr(INTERNAL_XATTR.EXTERNAL_SNAPSHOT, true);
  clone.setInternalId(INTERNAL_XATTR.SNAPSHOT, snapshot.id);
  clone.parentId = before.parentId;
  clone.back = before.back;
  clone.flags = before.flags;
  clone.state = 'dirty';
  noteUnsettled(store, [clone.page, snapshot.page], () => undoOnDisk(store, snapshot, clone, merged));
  yield* trySettle(store, clone);
}

/**
 * Writes first the complete extent pages that the clone had taken over: they fit the old clone and the new one. Then it
 * writes the clone, then the snapshot without its mark. If the store is loaded in between, the clone's root on disk
 * decides.
 */
function* undoOnDisk(store: StoreState, snapshot: Blob, clone: Blob, merged: Merged): Steps<void> {
  for (const index of merged.extentPages) yield* writeExtentPage(store, snapshot, index);
  yield* store.barrier();
  yield* persistUnsettled(store, clone);
  const wasReadOnly = snapshot.mdRo;
  snapshot.mdRo = false;
  if (snapshot.internalXattrs.get(INTERNAL_XATTR.SNAPSHOT_PENDING_REMOVAL)) {
    snapshot.removeXattr(INTERNAL_XATTR.SNAPSHOT_PENDING_REMOVAL, true);
  }
  snapshot.mdRo = wasReadOnly;
  yield* persistUnsettled(store, snapshot);
}
