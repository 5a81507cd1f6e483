/** Applies the records of the insertion log that an earlier process left; see `state/insertion-log.ts`. */

import type { Blob } from '../blob/blob.js';
import type { NotedInsertion } from '../state/insertion-log.js';
import type { StoreState } from '../state/store-state.js';
import { extentPageIndex } from '../units/extent-pages.js';
import { type BlobCluster, type DeviceCluster, UNALLOCATED } from '../units/units.js';

/**
 * Applies the log's records of a blob to its map, which was read from disk. Records that cannot belong to this blob are
 * skipped. Where the map on disk has another cluster, that cluster was unmapped and another one inserted after the map
 * was written. The old cluster is released when the map has been written again.
 */
export function applyInsertions(store: StoreState, blob: Blob): void {
  const records = store.insertionLog?.recordsOf(blob.page) ?? [];
  if (records.length === 0 || !blob.isThin) return; // a blob that is thick on disk has all of its clusters there
  const done = new Set<number>();
  for (const record of records) {
    if (!isPossible(store, blob, record) || !hasExtentPage(store, blob, record)) continue;
    for (let at = 0; at < record.count; at++) {
      const index = (record.index + at) as BlobCluster;
      if (done.has(index)) continue;
      done.add(index); // records come newest first: the newest one counts
      if (isTaken(store, record.cluster + at)) insert(blob, index, record.cluster + at);
    }
  }
}

function insert(blob: Blob, index: BlobCluster, cluster: number): void {
  const { map } = blob;
  const before = map.clusters.get(index);
  if (before === cluster) return;
  if (before === UNALLOCATED) map.allocatedCount++;
  else map.dropped.push(before as DeviceCluster);
  map.clusters.set(index, cluster);
  if (blob.usesExtentTable) map.dirtyExtentPages.add(extentPageIndex(index));
  blob.state = 'dirty';
}

/** Checks a record from disk: it may be wrong, and is not trusted. */
function isPossible(store: StoreState, blob: Blob, { index, cluster, count }: NotedInsertion): boolean {
  const { clusters } = store.shared;
  if (count === 0 || index + count > blob.clusterCount) return false;
  return cluster >= store.geometry.metadataClusterCount() && cluster + count <= clusters.capacity;
}

/**
 * False for a cluster that is known to be free, which belongs to no blob. A part of a record can name a free cluster,
 * if a newer record gives the blob another cluster in its place.
 */
function isTaken({ shared, knowsUsed }: StoreState, cluster: number): boolean {
  return !knowsUsed || shared.locked(() => shared.clusters.isAllocated(cluster));
}

/**
 * Makes sure that the blob has an extent page for a record. If it has one, it keeps it, even if the record names
 * another page: only the next root would have named that one. If it has none, it gets the record's page.
 * False if the record's clusters are in two extent pages, or the blob needs the record's page and that is not possible.
 */
function hasExtentPage(store: StoreState, blob: Blob, { index, count, extentPage }: NotedInsertion): boolean {
  if (!blob.usesExtentTable) return true;
  const number = extentPageIndex(index);
  if (extentPageIndex(index + count - 1) !== number) return false;
  const { extentPages, unrootedExtentPages } = blob.map;
  if (extentPages.get(number) !== UNALLOCATED) return true;
  if (extentPage === UNALLOCATED || extentPage >= store.geometry.mdPageCount) return false;
  extentPages.set(number, extentPage);
  unrootedExtentPages.add(number);
  return true;
}
