/** Taking over from the insertion log what a process left there; see `state/insertion-log.ts`. */

import type { Blob } from '../blob/blob.js';
import type { NotedInsertion } from '../state/insertion-log.js';
import type { StoreState } from '../state/store-state.js';
import { extentPageIndex } from '../units/extent-pages.js';
import { type BlobCluster, type DeviceCluster, UNALLOCATED } from '../units/units.js';

/**
 * Puts what the log says of a blob into its map, which was read from disk. What cannot be of this blob is passed over. Where the
 * map on disk has another cluster, that was unmapped, and another one inserted, since the map was written; it is given back when
 * the map has been written anew.
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
      done.add(index); // by the newest record of it
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

/** Nothing that a disk says is believed. */
function isPossible(store: StoreState, blob: Blob, { index, cluster, count }: NotedInsertion): boolean {
  const { clusters } = store.shared;
  if (count === 0 || index + count > blob.clusterCount) return false;
  return cluster >= store.geometry.metadataClusterCount() && cluster + count <= clusters.capacity;
}

/** What is known to be free is nobody's; as a part of a record can be, for which a newer one gives the blob another cluster. */
function isTaken({ shared, knowsUsed }: StoreState, cluster: number): boolean {
  return !knowsUsed || shared.locked(() => shared.clusters.isAllocated(cluster));
}

/**
 * Gives the blob the extent page of a record where it has none; false where there is none to be had. Where it has one that counts:
 * the record may name one that the next root was to bring.
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
