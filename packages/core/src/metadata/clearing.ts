/**
 * Clearing of what is given back. A page or cluster is handed out again only after its old content is gone from the medium,
 * so that nobody ever reads what was another blob's.
 */

import type { Blob } from '../blob/blob.js';
import type { ClearMethod } from '../format/flags.js';
import type { StoreState } from '../state/store-state.js';
import { Batch } from '../steps/batch.js';
import type { MaybePromise, Steps } from '../steps/steps.js';
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
export function* zeroPages(store: StoreState, pages: readonly MdPage[]): Steps<void> {
  const { geometry, deviceChannel } = store;
  const batch = new Batch();
  for (const page of pages)
    batch.add(() => deviceChannel.writeZeroes(geometry.mdPageToLba(page), geometry.blocksPerPage));
  yield* batch.close();
}

/** Clears clusters, those that follow one another on the device at once. */
export function* clearClusters(
  store: StoreState,
  method: ClearMethod,
  clusters: readonly DeviceCluster[],
): Steps<void> {
  const { geometry } = store;
  const batch = new Batch();
  for (let at = 0; at < clusters.length; ) {
    let run = 1;
    while (at + run < clusters.length && clusters[at + run] === clusters[at] + run) run++;
    const first = clusters[at];
    batch.add(() => clearBlocks(store, method, geometry.clusterToLba(first), run * geometry.blocksPerCluster));
    at += run;
  }
  yield* batch.close();
}

/**
 * Zeroes a blob's stale pages, clears its stale clusters, and releases both. What fails stays stale, and is tried again when
 * the blob is next persisted.
 */
export function* clearStale(store: StoreState, blob: Blob): Steps<void> {
  const { stalePages: pages } = blob;
  blob.staleClusters = [...new Set(blob.staleClusters)]; // a damaged blob may have had one twice
  const { staleClusters: clusters } = blob;
  if (pages.length === 0 && clusters.length === 0) return;
  yield* eraseNoted(store, blob);
  yield* zeroPages(store, pages);
  yield* clearClusters(store, blob.clearMethod, clusters);
  yield* store.barrier();
  releasePages(store, pages);
  releaseClusters(store, clusters);
  blob.stalePages = blob.stalePages.slice(pages.length);
  blob.staleClusters = blob.staleClusters.slice(clusters.length);
}

/** Takes what the insertion log still says of a blob, and its map says too, off the disk: what it had may be given back then. */
export function* eraseNoted(store: StoreState, blob: Blob): Steps<void> {
  if (store.insertionLog) yield* store.insertionLog.erase(blob.page);
}

/** Gives metadata pages back. */
export function releasePages(store: StoreState, pages: readonly MdPage[]): void {
  if (pages.length === 0) return;
  store.shared.locked(() => {
    for (const page of pages) if (!store.lostPages.has(page)) store.shared.pages.release(page);
  });
}

/** Gives clusters back. */
export function releaseClusters(store: StoreState, clusters: readonly DeviceCluster[]): void {
  if (clusters.length === 0) return;
  store.shared.locked(() => {
    for (const cluster of clusters) store.shared.clusters.free(cluster);
  });
  store.onFreeChange?.();
}
