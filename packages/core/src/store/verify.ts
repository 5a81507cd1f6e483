/** A check of what memory says of pages and clusters: each taken one has exactly one owner, and counts are right. */

import type { Blob } from '../blob/blob.js';
import { assert } from '../error.js';
import type { StoreState } from './store-state.js';

/**
 * Throws `InvariantError` when the free count is not what the pool has, a cluster or page of an open blob is free or has
 * another owner too, or a count of allocated clusters is wrong. Metadata thread.
 */
export function verifyStore(store: StoreState): void {
  const { clusters, pages } = store.shared;
  const clusterOwners = new Map<number, string>();
  const pageOwners = new Map<number, string>();
  const own = (owners: Map<number, string>, what: string, index: number, owner: string, isTaken: boolean) => {
    assert(isTaken, `${what} ${index} of ${owner} is free`);
    const other = owners.get(index);
    assert(other === undefined, `${what} ${index} belongs to ${other} and to ${owner}`);
    owners.set(index, owner);
  };
  store.shared.locked(() => {
    assert(clusters.countFree() === clusters.freeCount, 'the free count is not what the pool has');
    for (const blob of new Set([...store.openBlobs.values(), ...store.unfinishedDeletes.values()])) {
      const owner = `blob ${blob.id}`;
      for (const cluster of clustersOf(blob))
        own(clusterOwners, 'cluster', cluster, owner, clusters.isAllocated(cluster));
      for (const page of pagesOf(blob)) own(pageOwners, 'page', page, owner, pages.isUsed(page));
      requireCounts(blob);
    }
  });
}

function clustersOf(blob: Blob): number[] {
  const found: number[] = [...blob.staleClusters, ...blob.map.dropped];
  for (let index = 0; index < blob.map.clusters.count; index++) found.push(blob.map.clusters.get(index));
  return found.filter((cluster) => cluster !== 0);
}

function pagesOf(blob: Blob): number[] {
  const found: number[] = [...blob.chain, ...blob.stalePages];
  for (let index = 0; index < blob.map.extentPages.count; index++) {
    const page = blob.map.extentPages.get(index);
    if (page !== 0) found.push(page);
  }
  return found;
}

function requireCounts(blob: Blob): void {
  let allocated = 0;
  for (let index = 0; index < blob.clusterCount; index++) if (blob.clusterAt(index) !== 0) allocated++;
  assert(
    allocated === blob.map.allocatedCount,
    `blob ${blob.id} has ${allocated} clusters, not ${blob.map.allocatedCount}`,
  );
}
