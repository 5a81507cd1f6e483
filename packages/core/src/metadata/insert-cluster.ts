/**
 * Inserting a cluster into a blob's map: the end of an allocation that a channel began.
 *
 * With `process-crash` durability the extent page goes out before the insertion is answered. With `power-loss` it waits for
 * the next sync or flush, which first makes the cluster's data durable: a map on the medium never names data that is not
 * there. See "Durability" in docs/ARCHITECTURE.md.
 */

import type { Blob } from '../blob/blob.js';
import type { StoreState } from '../store/store-state.js';
import { markDirty } from '../store/super-block-io.js';
import { type BlobCluster, UNALLOCATED } from '../units/units.js';
import type { ClaimedCluster } from './allocation.js';
import { releasePages } from './clearing.js';
import { extentPageIndex, writeExtentPage } from './extent-pages.js';
import { sync } from './persist.js';
import type { Steps } from './steps.js';

/**
 * Makes `claimed` the cluster `index` of a blob; the map has taken it over when this answers `inserted`, or throws.
 * @returns `exists` when another channel was faster: the caller clears and gives back what it claimed
 */
export function* insertCluster(
  store: StoreState,
  blob: Blob,
  index: BlobCluster,
  claimed: ClaimedCluster,
): Steps<'inserted' | 'exists'> {
  const { map } = blob;
  if (map.clusters.get(index) !== UNALLOCATED) return 'exists';
  map.clusters.set(index, claimed.cluster);
  map.allocatedCount++;
  if (!blob.usesExtentTable) {
    blob.state = 'dirty';
    yield* store.writesThrough ? sync(store, blob) : markDirty(store);
    return 'inserted';
  }
  const extentPage = extentPageIndex(index);
  if (map.extentPages.get(extentPage) === UNALLOCATED) {
    map.extentPages.set(extentPage, claimed.extentPage);
    map.unrootedExtentPages.add(extentPage);
  } else if (claimed.extentPage !== UNALLOCATED) {
    releasePages(store, [claimed.extentPage]); // another channel's insertion brought one meanwhile
  }
  map.dirtyExtentPages.add(extentPage);
  if (map.unrootedExtentPages.has(extentPage) || !store.writesThrough) blob.state = 'dirty';
  yield* store.writesThrough ? writeMapping(store, blob, extentPage) : markDirty(store);
  return 'inserted';
}

/** Writes an extent page, and the chain too if no root names the page yet. */
export function* writeMapping(store: StoreState, blob: Blob, extentPage: number): Steps<void> {
  yield* writeExtentPage(store, blob, extentPage, blob.clusterCount);
  if (blob.map.unrootedExtentPages.has(extentPage)) {
    blob.state = 'dirty';
    yield* sync(store, blob);
  }
}
