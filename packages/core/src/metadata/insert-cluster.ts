/**
 * Inserting a cluster into a blob's map: the end of an allocation that a channel began.
 *
 * With `process-crash` durability the extent page goes out before the insertion is answered. With `power-loss` it waits for
 * the next sync or flush, which first makes the cluster's data durable: a map on the medium never names data that is not
 * there. See "Durability" in docs/ARCHITECTURE.md.
 */

import type { Blob } from '../blob/blob.js';
import type { ClusterMap } from '../blob/cluster-map.js';
import type { StoreState } from '../store/store-state.js';
import { markDirty } from '../store/super-block-io.js';
import { type BlobCluster, type MdPage, UNALLOCATED } from '../units/units.js';
import type { ClaimedCluster } from './allocation.js';
import { releasePages } from './clearing.js';
import { extentPageIndex, writeExtentPage } from './extent-pages.js';
import { sync } from './persist.js';
import { Deferred, type Steps } from './steps.js';

/**
 * Makes `claimed` the cluster `index` of a blob. Where the map is written through, the disk has it before anybody sees it here:
 * a write into it could otherwise be acknowledged that a killed process loses. When this throws the blob does not have the
 * cluster, but the disk may: it is given back once the blob has been persisted.
 * @returns `exists` when another channel was faster: the caller clears and gives back what it claimed
 */
export function* insertCluster(
  store: StoreState,
  blob: Blob,
  index: BlobCluster,
  claimed: ClaimedCluster,
): Steps<'inserted' | 'exists'> {
  const { map } = blob;
  for (let other = map.inserting.get(index); other; other = map.inserting.get(index)) yield other.ended.promise;
  if (map.clusters.get(index) !== UNALLOCATED) return 'exists';
  const extentPage = blob.usesExtentTable ? extentPageIndex(index) : undefined;
  if (extentPage !== undefined) takeExtentPage(store, map, extentPage, claimed.extentPage);
  const ended = new Deferred();
  map.inserting.set(index, { cluster: claimed.cluster, ended });
  try {
    yield* store.writesThrough ? writeMapping(store, blob, extentPage) : markDirty(store);
    map.clusters.set(index, claimed.cluster);
    map.allocatedCount++;
    if (!store.writesThrough) noteChanged(blob, extentPage);
  } catch (error) {
    map.uncertain.push({ cluster: claimed.cluster, extentPage });
    noteChanged(blob, extentPage);
    throw error;
  } finally {
    map.inserting.delete(index);
    ended.resolve();
  }
  return 'inserted';
}

function takeExtentPage(store: StoreState, map: ClusterMap, index: number, claimed: MdPage): void {
  if (map.extentPages.get(index) === UNALLOCATED) {
    map.extentPages.set(index, claimed);
    map.unrootedExtentPages.add(index);
  } else if (claimed !== UNALLOCATED) {
    releasePages(store, [claimed]); // another channel's insertion brought one meanwhile
  }
}

/** Notes that a mapping on disk is not what memory has. */
export function noteChanged(blob: Blob, extentPage: number | undefined): void {
  if (extentPage !== undefined) blob.map.dirtyExtentPages.add(extentPage);
  blob.state = 'dirty';
}

/**
 * Writes where a cluster's mapping is: its extent page, and the chain too if no root names the page yet, or the root on disk
 * is in doubt; without an extent table the chain.
 */
export function* writeMapping(store: StoreState, blob: Blob, extentPage: number | undefined): Steps<void> {
  if (extentPage !== undefined) yield* writeExtentPage(store, blob, extentPage, blob.clusterCount);
  if (extentPage !== undefined && !blob.map.unrootedExtentPages.has(extentPage) && !blob.rootInDoubt) return;
  blob.state = 'dirty';
  yield* sync(store, blob);
}
