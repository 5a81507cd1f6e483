/**
 * Inserts clusters into a blob's map. This ends an allocation that a channel began.
 *
 * With `process-crash` durability the extent page is written before the insertion is acknowledged. With `power-loss` it
 * is written by the next sync or flush, which first makes the cluster's data durable: a map on the medium never names
 * data that is not there. Until then the insertion is noted in the insertion log, if what is written to the device
 * outlives the process. See "Durability" in docs/ARCHITECTURE.md.
 */

import type { Blob } from '../blob/blob.js';
import type { ClusterMap } from '../blob/cluster-map.js';
import { encodeChain } from '../format/blob-chain.js';
import type { ClaimedCluster } from '../shared/claim-cluster.js';
import type { StoreState } from '../state/store-state.js';
import { markDirty } from '../state/super-block-io.js';
import { Deferred } from '../steps/deferred.js';
import type { Steps } from '../steps/steps.js';
import { BlobstoreError } from '../units/error.js';
import { extentPageIndex } from '../units/extent-pages.js';
import { type BlobCluster, type MdPage, UNALLOCATED } from '../units/units.js';
import { releasePages } from './clearing.js';
import { writeExtentPage } from './extent-pages.js';
import { noteInsertions, type WantedInsertion } from './note-insertions.js';
import { sync } from './persist.js';

/**
 * The result of an insertion. `exists` when another insertion came first: the caller still has the claim, and must
 * clear and release it.
 */
export type InsertionOutcome = 'inserted' | 'exists' | { readonly error: unknown };

/**
 * Makes `claimed` cluster `index` of a blob. Where the map is written through, it is on disk before the cluster becomes
 * visible in memory. Otherwise a write to the cluster could be acknowledged, and be lost when the process is killed.
 * When this throws the blob does not have the cluster in memory, but may have it on disk; the cluster is released when
 * the blob has been persisted.
 */
export function* insertCluster(
  store: StoreState,
  blob: Blob,
  index: BlobCluster,
  claimed: ClaimedCluster,
): Steps<'inserted' | 'exists'> {
  const wanted: WantedInsertion = { index, claimed };
  if (blob.map.inserting.size > 0) yield* whileInserting(blob.map, index);
  makeLeaves(store, blob, [wanted]);
  if (!begin(store, blob, wanted)) return 'exists';
  yield* writeInsertions(store, blob, [wanted]);
  return 'inserted';
}

/**
 * Like `insertCluster`, for insertions that arrived together: an extent page is written once for all of its insertions.
 */
export function* insertClusters(
  store: StoreState,
  blob: Blob,
  wanted: readonly WantedInsertion[],
): Steps<InsertionOutcome[]> {
  const outcomes: InsertionOutcome[] = wanted.map(() => 'exists');
  for (const positions of byExtentPage(blob, wanted)) {
    for (const at of positions) yield* whileInserting(blob.map, wanted[at].index);
    let begun = positions;
    let outcome: InsertionOutcome = 'inserted';
    try {
      makeLeaves(
        store,
        blob,
        positions.map((at) => wanted[at]),
      );
      begun = positions.filter((at) => begin(store, blob, wanted[at]));
      if (begun.length > 0)
        yield* writeInsertions(
          store,
          blob,
          begun.map((at) => wanted[at]),
        );
    } catch (error) {
      outcome = { error };
    }
    for (const at of begun) outcomes[at] = outcome;
  }
  return outcomes;
}

/** Groups insertions by extent page, as positions in `wanted`; without an extent table they are one group. */
function byExtentPage(blob: Blob, wanted: readonly WantedInsertion[]): Iterable<number[]> {
  const groups = new Map<number | undefined, number[]>();
  wanted.forEach(({ index }, at) => {
    const extentPage = extentPageOf(blob, index);
    const group = groups.get(extentPage);
    if (group) group.push(at);
    else groups.set(extentPage, [at]);
  });
  return groups.values();
}

function* whileInserting(map: ClusterMap, index: BlobCluster): Steps<void> {
  for (let other = map.inserting.get(index); other; other = map.inserting.get(index)) yield other.ended.promise;
}

/**
 * Makes the parts of the map that insertions need, so that they cannot fail once they are on disk. Throws ENOMEM when
 * there is no memory for that; the clusters are then released when the blob has been persisted.
 */
function makeLeaves(store: StoreState, blob: Blob, insertions: readonly WantedInsertion[]): void {
  const { map } = blob;
  try {
    for (const { index } of insertions) {
      const extentPage = extentPageOf(blob, index);
      map.clusters.reserve(index);
      if (extentPage !== undefined) map.extentPages.reserve(extentPage);
    }
  } catch (error) {
    for (const { index, claimed } of insertions) {
      const extentPage = extentPageOf(blob, index);
      map.uncertain.push({ cluster: claimed.cluster, extentPage });
      blob.markMapChanged(extentPage);
      if (claimed.extentPage !== UNALLOCATED) releasePages(store, [claimed.extentPage]);
    }
    throw error;
  }
}

/**
 * Marks an insertion as about to be written. Returns false when the blob has that cluster already, or another insertion
 * of it is being written.
 */
function begin(store: StoreState, blob: Blob, { index, claimed }: WantedInsertion): boolean {
  const { map } = blob;
  if (map.clusters.get(index) !== UNALLOCATED || map.inserting.has(index)) return false;
  const extentPage = extentPageOf(blob, index);
  if (extentPage !== undefined) takeExtentPage(store, map, extentPage, claimed.extentPage);
  map.inserting.set(index, { cluster: claimed.cluster, ended: new Deferred() });
  if (!store.writesThrough) blob.markMapChanged(extentPage); // no root may name the page before it is written
  return true;
}

/** Writes insertions that have begun, all in one extent page, and makes them visible. */
function* writeInsertions(store: StoreState, blob: Blob, insertions: readonly WantedInsertion[]): Steps<void> {
  const { map } = blob;
  const extentPage = extentPageOf(blob, insertions[0].index);
  try {
    if (store.writesThrough) yield* writeMapping(store, blob, extentPage);
    else yield* makeKnown(store, blob, insertions, extentPage);
    for (const { index, claimed } of insertions) map.clusters.set(index, claimed.cluster);
    map.allocatedCount += insertions.length;
    store.onFreeChange?.();
  } catch (error) {
    for (const { claimed } of insertions) map.uncertain.push({ cluster: claimed.cluster, extentPage });
    blob.markMapChanged(extentPage);
    throw error;
  } finally {
    for (const { index } of insertions) {
      const insertion = map.inserting.get(index);
      map.inserting.delete(index);
      insertion?.ended.resolve();
    }
  }
}

/**
 * Marks the store as in use. Then records insertions in the insertion log, so that they outlive the process; syncs the
 * blob if the log cannot take them. Without a log, or without room for the blob's map, they stay in memory until a
 * sync.
 */
function* makeKnown(
  store: StoreState,
  blob: Blob,
  insertions: readonly WantedInsertion[],
  extentPage: number | undefined,
): Steps<void> {
  yield* markDirty(store);
  const { insertionLog } = store;
  if (insertionLog === undefined || !hasRoomForMap(store, blob)) return;
  const page = (extentPage === undefined ? UNALLOCATED : blob.map.extentPages.get(extentPage)) as MdPage;
  if (yield* noteInsertions(store, insertionLog, blob, insertions, page)) return;
  try {
    yield* sync(store, blob);
  } catch (error) {
    // The metadata region is full. A sync or close of the blob reports that; the write must not fail.
    if (!(error instanceof BlobstoreError) || error.code !== 'ENOSPC') throw error;
  }
}

/**
 * False when the metadata region is full, and the map with the new insertions needs another page of it. Then the
 * insertions are in memory only until there is room; a sync, flush or close of the blob fails with ENOSPC. They must
 * not be in the log: a process that opens the store later must be able to write what the log says.
 */
function hasRoomForMap(store: StoreState, blob: Blob): boolean {
  const { pages } = store.shared;
  if (store.shared.locked(() => pages.hasFree(1, 0))) return true;
  return encodeChain(blob.chainContent()).length <= blob.chain.length;
}

function extentPageOf(blob: Blob, index: BlobCluster): number | undefined {
  return blob.usesExtentTable ? extentPageIndex(index) : undefined;
}

function takeExtentPage(store: StoreState, map: ClusterMap, index: number, claimed: MdPage): void {
  if (map.extentPages.get(index) === UNALLOCATED) {
    map.extentPages.set(index, claimed);
    map.unrootedExtentPages.add(index);
    map.unnamedPages.add(claimed);
  } else if (claimed !== UNALLOCATED) {
    releasePages(store, [claimed]); // another channel's insertion brought an extent page in the meantime
  }
}

/**
 * Writes a cluster's mapping: its extent page, and also the chain if no root names that page yet, or the root on disk
 * is in doubt. Without an extent table it writes the chain.
 */
export function* writeMapping(store: StoreState, blob: Blob, extentPage: number | undefined): Steps<void> {
  if (extentPage !== undefined) yield* writeExtentPage(store, blob, extentPage);
  if (extentPage !== undefined && !blob.map.unrootedExtentPages.has(extentPage) && !blob.rootInDoubt) return;
  blob.state = 'dirty';
  yield* sync(store, blob);
}
