/** Releases clusters that were claimed and are not needed, and clusters that are released by the next sync. */

import type { Blob } from '../blob/blob.js';
import type { ClaimedCluster } from '../shared/claim-cluster.js';
import type { StoreState } from '../state/store-state.js';
import type { Steps } from '../steps/steps.js';
import { clearClusters, releaseClusters, releasePages } from './clearing.js';
import { isInUse } from './open-close.js';
import { persist } from './persist.js';

/**
 * Releases a claim. If data was copied into the cluster, it is cleared first, because the next owner expects zeroes. A
 * cluster that cannot be cleared stays allocated until `clearUncleared` succeeds (reclaiming, unloading), or the store
 * is recovered.
 */
export function* discardCluster(store: StoreState, blob: Blob, claimed: ClaimedCluster, written: boolean): Steps<void> {
  if (claimed.extentPage !== 0) releasePages(store, [claimed.extentPage]);
  if (written) {
    try {
      yield* clearClusters(store, blob.clearMethod, [claimed.cluster]);
      yield* store.barrier();
    } catch {
      store.unclearedClusters.push(claimed.cluster);
      return;
    }
  }
  releaseClusters(store, [claimed.cluster]);
}

/** Clears and releases the clusters that could not be cleared when they were discarded. */
export function* clearUncleared(store: StoreState): Steps<void> {
  const clusters = store.unclearedClusters;
  if (clusters.length === 0) return;
  yield* clearClusters(store, 'default', clusters);
  yield* store.barrier();
  store.unclearedClusters = store.unclearedClusters.slice(clusters.length);
  releaseClusters(store, clusters);
}

/** Counts the clusters that `reclaimClusters` would release. */
export function countReclaimable(store: StoreState): number {
  let count = store.unclearedClusters.length;
  for (const blob of store.unsynced.values()) if (isInUse(store, blob)) count += blob.reclaimableCount;
  return count;
}

/** Syncs the blobs that have dropped clusters, which releases those; returns whether there were any. */
export function* reclaimClusters(store: StoreState): Steps<boolean> {
  let reclaimed = store.unclearedClusters.length > 0;
  yield* clearUncleared(store);
  for (const blob of store.unsynced.values()) {
    if (!isInUse(store, blob) || blob.reclaimableCount === 0) continue; // it may be closed or deleted in the meantime
    blob.state = 'dirty';
    yield* persist(store, blob);
    reclaimed = true;
  }
  return reclaimed;
}
