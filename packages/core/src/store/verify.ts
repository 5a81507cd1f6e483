/**
 * Checks the records in memory of pages and clusters: each allocated one has exactly one owner, and the counts are
 * right.
 */

import type { Blob } from '../blob/blob.js';
import { uncertainClusters } from '../blob/cluster-map.js';
import { isHidden } from '../metadata/delete.js';
import { closeBlob, openBlob } from '../metadata/open-close.js';
import type { StoreState } from '../state/store-state.js';
import type { Steps } from '../steps/steps.js';
import { assert } from '../units/error.js';
import { blobIdOfPage, type MdPage, NONE_U32 } from '../units/units.js';

/**
 * Throws `InvariantError` when the free count differs from the pool's, when a cluster or page of an open blob is free
 * or has another owner too, when a count of allocated clusters is wrong, or when a flush of the store would miss a
 * blob. Metadata thread only.
 */
export function verifyStore(store: StoreState): void {
  checkOwners(store);
  requireFound(store);
}

/** Checks that a flush of the store would visit all blobs that have something to write. */
function requireFound({ openBlobs, unsynced, lingering }: StoreState): void {
  for (const blob of openBlobs.values()) {
    const isUnsynced = blob.state === 'dirty' || blob.persists.isRunning || blob.reclaimableCount > 0;
    assert(
      !isUnsynced || unsynced.get(blob.page) === blob,
      `a flush does not find blob ${blob.id}, which is not synced`,
    );
    assert(blob.openRefs > 0 || lingering.has(blob), `a flush does not find blob ${blob.id}, which lingers`);
  }
  for (const blob of [...unsynced.values(), ...lingering]) {
    assert(openBlobs.get(blob.page) === blob, `a flush would visit blob ${blob.id}, which is closed`);
  }
}

/**
 * Also throws when a page or cluster has leaked: it is allocated, and belongs to no blob. Reads closed blobs from disk
 * for that. No other operation may be running, and no blob may be damaged, since its pages and clusters are not known.
 * Metadata thread only.
 */
export function* auditStore(store: StoreState): Steps<void> {
  const { usedBlobIds } = store;
  const opened: Blob[] = [];
  try {
    for (let page = usedBlobIds.findFirstSet(0); page !== NONE_U32; page = usedBlobIds.findFirstSet(page + 1)) {
      if (isHidden(store, page as MdPage) || store.openBlobs.has(page as MdPage)) continue;
      opened.push(yield* openBlob(store, blobIdOfPage(page as MdPage)));
    }
    const owners = checkOwners(store);
    requireNoneLeaked(store, owners);
  } finally {
    for (const blob of opened) yield* closeBlob(store, blob);
  }
}

/** The owner of each cluster, and of each page. */
interface Owners {
  clusters: ReadonlyMap<number, string>;
  pages: ReadonlyMap<number, string>;
}

function requireNoneLeaked(store: StoreState, owners: Owners): void {
  const { clusters, pages } = store.shared;
  const own = new Set<number>(store.unclearedClusters);
  for (let cluster = 0; cluster < store.geometry.metadataClusterCount(); cluster++) own.add(cluster);
  store.shared.locked(() => {
    for (let cluster = 0; cluster < clusters.capacity; cluster++) {
      const isOwned = owners.clusters.has(cluster) || own.has(cluster);
      assert(isOwned || !clusters.isAllocated(cluster), `cluster ${cluster} is allocated, but no blob has it`);
    }
    for (let page = 0; page < pages.capacity; page++) {
      const hasId = store.usedBlobIds.get(page);
      assert(owners.pages.has(page) || !pages.isUsed(page), `page ${page} is allocated, but no blob has it`);
      assert(owners.pages.has(page) || !hasId, `blob id ${page} is allocated, but no blob has it`);
    }
  });
}

function checkOwners(store: StoreState): Owners {
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
  return { clusters: clusterOwners, pages: pageOwners };
}

function clustersOf(blob: Blob): number[] {
  const found: number[] = [...blob.staleClusters, ...blob.map.dropped, ...uncertainClusters(blob.map)];
  blob.map.clusters.forEachSet((cluster) => found.push(cluster));
  return found;
}

function pagesOf(blob: Blob): number[] {
  return [...blob.chain, ...blob.extentPageNumbers(), ...blob.stalePages, ...blob.replacedPages];
}

function requireCounts(blob: Blob): void {
  const allocated = blob.map.clusters.countSet(blob.clusterCount);
  assert(
    allocated === blob.map.allocatedCount,
    `blob ${blob.id} has ${allocated} clusters, not ${blob.map.allocatedCount}`,
  );
}
