/** Changes a blob's size in memory; the next sync writes it to disk. */

import type { Blob } from '../blob/blob.js';
import { noCluster, noMetadataPage } from '../shared/claim-cluster.js';
import { raiseHighWater } from '../state/raise-marks.js';
import type { StoreState } from '../state/store-state.js';
import { markDirty } from '../state/super-block-io.js';
import { ENDED, type Steps } from '../steps/steps.js';
import { BlobstoreError } from '../units/error.js';
import { extentPageIndex, extentPagesFor, FIRST_EXTENT_PAGE } from '../units/extent-pages.js';
import { type MdPage, NONE_U32 } from '../units/units.js';
import { requireUnlocked, withBlobLocked } from './blob-lock.js';
import { freeze, unfreeze } from './freeze.js';
import { requireMapFits } from './map-limit.js';

/**
 * Makes an open blob `clusterCount` clusters long.
 * @throws EPERM read-only metadata, EBUSY another operation is running on it, ENOSPC a thick blob that does not fit,
 * ENOMEM a map that is too large, EINVAL more clusters than 32 bits count. Nothing has changed then.
 */
export function* resizeBlob(store: StoreState, blob: Blob, clusterCount: number): Steps<void> {
  if (blob.mdRo) throw new BlobstoreError('EPERM', `blob ${blob.id} is read-only: its size cannot be changed`);
  if (clusterCount === blob.clusterCount) return;
  requireUnlocked(blob, 'resize');
  yield* withBlobLocked(store, blob, 'resize', function* () {
    yield* freeze(store, blob);
    try {
      const before = blob.clusterCount;
      changeSize(store, blob, clusterCount);
      try {
        yield* coverNewClusters(store, blob, before);
      } catch (error) {
        changeSize(store, blob, before);
        throw error;
      }
    } finally {
      unfreeze(store, blob);
    }
  });
}

/**
 * Raises the high-water mark over the new clusters of a thick blob. They can be written to before the next sync;
 * recovery must know of them to clear them.
 */
export function coverNewClusters(store: StoreState, blob: Blob, before: number): Steps<void> {
  if (!store.keepsHighWater || blob.isThin || blob.clusterCount <= before) return ENDED;
  return raiseOver(store, blob, before);
}

function* raiseOver(store: StoreState, blob: Blob, before: number): Steps<void> {
  let highest = 0;
  blob.map.clusters.forEachSet((cluster) => {
    highest = Math.max(highest, cluster);
  }, before);
  yield* markDirty(store);
  yield* raiseHighWater(store, highest);
}

/** Changes the size at once; the blob must be frozen, or not open yet. Throws as `resizeBlob`. */
export function changeSize(store: StoreState, blob: Blob, clusterCount: number): void {
  const { map } = blob;
  const before = blob.clusterCount;
  if (clusterCount === before) return;
  if (clusterCount > NONE_U32) {
    throw new BlobstoreError('EINVAL', `a blob has at most ${NONE_U32} clusters, ${clusterCount} were asked for`);
  }
  if (clusterCount > before) growMap(store, blob, clusterCount);
  const addBack = (_cluster: number, index: number) => {
    map.allocatedCount++;
    // Clusters past the old end are used again. Their extent page may have been written while the blob was shorter, and
    // then does not name them.
    if (blob.usesExtentTable) map.dirtyExtentPages.add(extentPageIndex(index));
  };
  map.clusters.forEachSet(addBack, before, clusterCount);
  map.clusters.forEachSet(() => map.allocatedCount--, clusterCount, before);
  blob.clusterCount = clusterCount;
  blob.extentPageCount = blob.usesExtentTable ? extentPagesFor(clusterCount) : 0;
  blob.state = 'dirty';
  blob.publish();
}

/**
 * Makes the map longer, and allocates clusters for a thick blob. Clusters past the end that are left from shrinking are
 * used again. All extent pages change, from the last one that is complete on disk.
 */
function growMap(store: StoreState, blob: Blob, clusterCount: number): void {
  const { map } = blob;
  const known = map.clusters.count;
  const knownExtentPages = map.extentPages.count;
  const extentPageCount = blob.usesExtentTable ? extentPagesFor(clusterCount) : 0;
  const extendMap = () => {
    map.extentPages.extend(extentPageCount, !blob.isThin);
    map.clusters.extend(clusterCount, !blob.isThin);
  };
  if (blob.isThin) {
    requireMapFits(store, blob.id, clusterCount);
    extendMap();
  } else {
    claimForThick(store, blob, known, clusterCount, extendMap);
    store.onFreeChange?.();
  }
  const lastIntact = Math.min(blob.clusterCount, blob.syncedClusterCount); // extent pages written since end there
  const firstChanged = Math.max(1, extentPagesFor(lastIntact)) - 1;
  const changed = blob.isThin ? blob.lengthenedExtentPages : map.dirtyExtentPages;
  // A thin blob has no extent pages where it had no clusters before.
  const end = blob.isThin ? Math.min(extentPageCount, knownExtentPages) : extentPageCount;
  for (let index = firstChanged; index < end; index++) changed.add(index);
}

/**
 * Allocates clusters and extent pages for a thick blob, from cluster `known` on. Checks first that there are enough of
 * both.
 */
function claimForThick(
  store: StoreState,
  blob: Blob,
  known: number,
  clusterCount: number,
  extendMap: () => void,
): void {
  const { clusters: pool, pages } = store.shared;
  const { map } = blob;
  store.shared.locked(() => {
    if (clusterCount - known > pool.freeCount) throw noCluster(clusterCount - known, pool.freeCount);
    const pagesNeeded = blob.usesExtentTable ? missingExtentPages(blob, known, clusterCount) : 0;
    if (!pages.hasFree(pagesNeeded, FIRST_EXTENT_PAGE)) throw noMetadataPage(pagesNeeded);
    extendMap();
    for (let index = known; index < clusterCount; index++) {
      map.clusters.set(index, pool.allocate());
      const extentPage = extentPageIndex(index);
      if (!blob.usesExtentTable || map.extentPages.get(extentPage) !== 0) continue;
      const page = pages.findFree(FIRST_EXTENT_PAGE);
      pages.claim(page as MdPage);
      map.extentPages.set(extentPage, page);
      map.unrootedExtentPages.add(extentPage);
      map.unnamedPages.add(page as MdPage);
    }
  });
}

function missingExtentPages(blob: Blob, known: number, clusterCount: number): number {
  const { extentPages } = blob.map;
  if (clusterCount <= known) return 0;
  let missing = 0;
  for (let index = extentPageIndex(known); index < extentPagesFor(clusterCount); index++) {
    if (index >= extentPages.count || extentPages.get(index) === 0) missing++;
  }
  return missing;
}
