/**
 * Clears pages and clusters before they are released, so that no blob ever reads another blob's data. When metadata on
 * the medium names them for their next owner, their old content is gone from the medium.
 */

import type { Blob } from '../blob/blob.js';
import type { ClearMethod } from '../format/flags.js';
import type { StoreState } from '../state/store-state.js';
import { Batch } from '../steps/batch.js';
import { ENDED, type MaybePromise, type Steps, wait } from '../steps/steps.js';
import type { DeviceCluster, MdPage } from '../units/units.js';

/** Clears blocks of the device by a blob's clear method. */
export function clearBlocks(store: StoreState, method: ClearMethod, lba: number, count: number): MaybePromise<void> {
  switch (method) {
    case 'none':
      return undefined;
    case 'write_zeroes':
      return store.deviceChannel.writeZeroes(lba, count);
    default:
      return store.deviceChannel.unmap(lba, count);
  }
}

/** Zeroes metadata pages. */
export function zeroPages(store: StoreState, pages: readonly MdPage[]): Steps<void> {
  const { geometry, deviceChannel } = store;
  store.pagesAhead?.forget();
  const zero = (page: MdPage) => deviceChannel.writeZeroes(geometry.mdPageToLba(page), geometry.blocksPerPage);
  if (pages.length === 1) return wait(zero(pages[0]));
  const batch = new Batch();
  for (const page of pages) batch.add(() => zero(page));
  return batch.close();
}

/** Clears clusters; a run of adjacent clusters is cleared with one request. */
export function clearClusters(store: StoreState, method: ClearMethod, clusters: readonly DeviceCluster[]): Steps<void> {
  const { geometry } = store;
  const batch = new Batch();
  for (let at = 0; at < clusters.length; ) {
    let run = 1;
    while (at + run < clusters.length && clusters[at + run] === clusters[at] + run) run++;
    const first = clusters[at];
    batch.add(() => clearBlocks(store, method, geometry.clusterToLba(first), run * geometry.blocksPerCluster));
    at += run;
  }
  return batch.close();
}

/**
 * Zeroes a blob's stale pages, clears its stale clusters, and releases both. If a step fails they stay stale, and the
 * next persist of the blob tries again. No barrier is needed here: each next owner has one before its metadata on disk
 * names them (docs/WRITE-ORDER.md).
 */
export function clearStale(store: StoreState, blob: Blob): Steps<void> {
  return blob.stalePages.length === 0 && blob.staleClusters.length === 0 ? ENDED : clearSomeStale(store, blob);
}

function* clearSomeStale(store: StoreState, blob: Blob): Steps<void> {
  const { stalePages: pages } = blob;
  if (blob.staleClusters.length > 0) blob.staleClusters = [...new Set(blob.staleClusters)]; // a damaged blob can have a cluster twice
  const { staleClusters: clusters } = blob;
  yield* eraseNoted(store, blob);
  yield* zeroPages(store, pages);
  yield* clearClusters(store, blob.clearMethod, clusters);
  releasePages(store, pages);
  releaseClusters(store, clusters);
  blob.stalePages = blob.stalePages.slice(pages.length);
  blob.staleClusters = blob.staleClusters.slice(clusters.length);
}

/**
 * Erases the blob's records of the insertion log that its map on disk covers. Only then may the clusters and pages of
 * the blob be released.
 */
export function eraseNoted(store: StoreState, blob: Blob): Steps<void> {
  return store.insertionLog?.erase(blob.page) ?? ENDED;
}

/** Releases metadata pages; lost pages stay allocated. */
export function releasePages(store: StoreState, pages: readonly MdPage[]): void {
  if (pages.length === 0) return;
  store.shared.locked(() => {
    for (const page of pages) if (!store.lostPages.has(page)) store.shared.pages.release(page);
  });
}

/** Releases clusters. */
export function releaseClusters(store: StoreState, clusters: readonly DeviceCluster[]): void {
  if (clusters.length === 0) return;
  store.shared.locked(() => {
    for (const cluster of clusters) store.shared.clusters.free(cluster);
  });
  store.onFreeChange?.();
}
