/**
 * Writing of extent pages. Writes of one page never overlap, and those asked for meanwhile become one.
 *
 * A page that the root on disk names always maps as many clusters as that root says: SPDK relies on it. In place only its entries
 * change. Where it is to map more clusters or fewer, or the clusters of a snapshot that is about to go, the blob gets a new page
 * instead, which counts with the next root. When no page of the metadata region is free, it is written in place, before the root,
 * as SPDK does.
 */

import type { Blob } from '../blob/blob.js';
import { encodeExtentPage } from '../format/extent-page.js';
import type { MdPageView } from '../format/md-page.js';
import type { StoreState } from '../state/store-state.js';
import { markDirty } from '../state/super-block-io.js';
import { Coalescer } from '../steps/coalescer.js';
import { type Steps, wait } from '../steps/steps.js';
import { clustersInPage, FIRST_EXTENT_PAGE } from '../units/extent-pages.js';
import { type MdPage, NONE_U32 } from '../units/units.js';

/**
 * Gives a blob another page for its extent page `index`, which the next persist writes, and whose root is the first to name it. The
 * old page stays as it is until then. Without an old one, a first one. It is taken from the end of the metadata region: blobs begin at
 * the lowest free pages, and what was a blob's beginning is left to be one again.
 * @returns false when no page is free
 */
export function renewExtentPage(store: StoreState, blob: Blob, index: number): boolean {
  const { map } = blob;
  const { pages } = store.shared;
  const page = store.shared.locked(() => {
    const free = pages.findLastFree(FIRST_EXTENT_PAGE);
    if (free !== NONE_U32) pages.claim(free as MdPage);
    return free;
  });
  if (page === NONE_U32) return false;
  const old = map.extentPages.get(index) as MdPage;
  if (old !== 0) blob.replacedPages.push(old);
  map.extentPages.set(index, page);
  map.unrootedExtentPages.add(index);
  map.dirtyExtentPages.add(index);
  return true;
}

/**
 * Takes `renewExtentPage` back after a persist that failed. The root on disk may name the old page, or the new one: that stays taken
 * until the next root; and the old one may have been cleared already, and is written anew.
 */
export function restoreExtentPage(blob: Blob, index: number, old: MdPage): void {
  const { map } = blob;
  blob.stalePages = blob.stalePages.filter((page) => page !== old);
  blob.replacedPages = blob.replacedPages.filter((page) => page !== old);
  blob.replacedPages.push(map.extentPages.get(index) as MdPage);
  map.extentPages.set(index, old);
  for (const list of [map.unrootedExtentPages, map.dirtyExtentPages]) {
    if (old === 0) list.delete(index);
    else list.add(index);
  }
}

/** Clusters, from the blob's start, that extent page `index` maps on disk when it is written now. */
function mappedClusterCount(store: StoreState, blob: Blob, index: number): number {
  const { map, clusterCount, rootClusterCount, syncedClusterCount } = blob;
  if (!store.keepsHighWater) return clusterCount;
  const isRooted = !map.unrootedExtentPages.has(index) && clustersInPage(syncedClusterCount, index) > 0;
  if (!isRooted) return rootClusterCount ?? clusterCount;
  return Math.min(syncedClusterCount, map.clusters.count);
}

/** Writes extent page `index` of a blob as its map is when the write begins, on the page that it has. */
export function* writeExtentPage(store: StoreState, blob: Blob, index: number): Steps<void> {
  const { map } = blob;
  const writes = map.writes.get(index) ?? new Coalescer();
  map.writes.set(index, writes);
  try {
    yield* writes.run(() => writeOnce(store, blob, index));
  } finally {
    // Whoever shared a write may come here only when others write the page already.
    if (!writes.isRunning && map.writes.get(index) === writes) map.writes.delete(index);
  }
}

/** Extent page `index` of a blob as its map is now. */
export function encodeBlobExtentPage(store: StoreState, blob: Blob, index: number): MdPageView {
  const clusterCount = mappedClusterCount(store, blob, index);
  return encodeExtentPage(blob.id, index, clusterCount, (cluster) => blob.map.clusterForDisk(cluster));
}

function* writeOnce(store: StoreState, blob: Blob, index: number): Steps<void> {
  const { geometry } = store;
  const { map } = blob;
  yield* markDirty(store);
  map.dirtyExtentPages.delete(index);
  blob.lengthenedExtentPages.delete(index);
  const mapped = mappedClusterCount(store, blob, index);
  // What was inserted past the end that the root on disk says is for the next persist.
  if (clustersInPage(mapped, index) < clustersInPage(blob.clusterCount, index)) map.dirtyExtentPages.add(index);
  try {
    const page = encodeBlobExtentPage(store, blob, index);
    const lba = geometry.mdPageToLba(map.extentPages.get(index) as MdPage);
    yield* wait(store.deviceChannel.write(page.bytes, 0, lba, geometry.blocksPerPage));
  } catch (error) {
    map.dirtyExtentPages.add(index);
    blob.state = 'dirty';
    throw error;
  }
}
