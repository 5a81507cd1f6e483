/**
 * Writes extent pages. Writes of one page never overlap; calls that arrive while one is running share the next one.
 *
 * A page that the root on disk names always maps as many clusters as that root says: SPDK relies on it. So it is
 * written in place only to change its entries. Where a page has to map more clusters or fewer, or to take over the
 * clusters of a snapshot that is being deleted, the blob gets a new page, which takes effect with the next root. When
 * no page of the metadata region is free, the old page is written in place, before the root, as SPDK does.
 */

import type { Blob } from '../blob/blob.js';
import { encodeExtentPage } from '../format/extent-page.js';
import type { MdPageView } from '../format/md-page.js';
import { raiseMdPageMark } from '../state/raise-marks.js';
import type { StoreState } from '../state/store-state.js';
import { markDirty } from '../state/super-block-io.js';
import { Coalescer } from '../steps/coalescer.js';
import { type Steps, wait } from '../steps/steps.js';
import { clustersInPage, FIRST_EXTENT_PAGE } from '../units/extent-pages.js';
import { type MdPage, NONE_U32 } from '../units/units.js';

/**
 * Gives a blob a new page for its extent page `index`, or a first page if it has none. The next persist writes it, and
 * the root of that persist is the first to name it. Until then the old page stays as it is. The page is the highest
 * free one below the high-water mark, because the lowest free pages become first pages of blobs: pages that were a
 * blob's first page stay available for new blobs.
 * @returns false when no page is free
 */
export function renewExtentPage(store: StoreState, blob: Blob, index: number): boolean {
  const { map } = blob;
  const { pages } = store.shared;
  const page = store.shared.locked(() => {
    const below = pages.findLastFree(FIRST_EXTENT_PAGE, store.mdPageMark);
    const free = below === NONE_U32 ? pages.findFree(FIRST_EXTENT_PAGE) : below;
    if (free !== NONE_U32) pages.claim(free as MdPage);
    return free;
  });
  if (page === NONE_U32) return false;
  const old = map.extentPages.get(index) as MdPage;
  if (old !== 0) blob.replacedPages.push(old);
  map.extentPages.set(index, page);
  map.unrootedExtentPages.add(index);
  map.unnamedPages.add(page as MdPage);
  map.dirtyExtentPages.add(index);
  return true;
}

/**
 * Undoes `renewExtentPage` after a failed persist. The root on disk may name the old page or the new one. So the new
 * page stays allocated until the next root is written, and the old page is written again, because it may have been
 * cleared already.
 */
export function restoreExtentPage(blob: Blob, index: number, old: MdPage): void {
  const { map } = blob;
  blob.stalePages = blob.stalePages.filter((page) => page !== old);
  blob.replacedPages = blob.replacedPages.filter((page) => page !== old);
  const renewed = map.extentPages.get(index) as MdPage;
  blob.replacedPages.push(renewed);
  map.unnamedPages.delete(renewed);
  map.extentPages.set(index, old);
  for (const list of [map.unrootedExtentPages, map.dirtyExtentPages]) {
    if (old === 0) list.delete(index);
    else list.add(index);
  }
}

/**
 * Returns how many clusters, counted from the blob's start, extent page `index` maps on disk when it is written now.
 */
function mappedClusterCount(store: StoreState, blob: Blob, index: number): number {
  const { map, clusterCount, rootClusterCount, syncedClusterCount } = blob;
  if (!store.keepsHighWater) return clusterCount;
  const isRooted = !map.unrootedExtentPages.has(index) && clustersInPage(syncedClusterCount, index) > 0;
  if (!isRooted) return rootClusterCount ?? clusterCount;
  return Math.min(syncedClusterCount, map.clusters.count);
}

/** Writes extent page `index` of a blob in place, with the map as it is when the write begins. */
export function* writeExtentPage(store: StoreState, blob: Blob, index: number): Steps<void> {
  const { map } = blob;
  const writes = map.writes.get(index) ?? new Coalescer();
  map.writes.set(index, writes);
  try {
    yield* writes.run(() => writeOnce(store, blob, index));
  } finally {
    // A caller that shared a write can get here while the next write of the page is already running.
    if (!writes.isRunning && map.writes.get(index) === writes) map.writes.delete(index);
  }
}

/**
 * Encodes extent page `index` of a blob from its map as it is now, into one of the store's buffers. The caller returns
 * the buffer when it has written the page.
 */
export function encodeBlobExtentPage(store: StoreState, blob: Blob, index: number): MdPageView {
  const clusterCount = mappedClusterCount(store, blob, index);
  const page = store.pageBuffers.takeZeroed();
  const { map } = blob;
  return encodeExtentPage(blob.id, index, clusterCount, (...range) => map.forEachForDisk(...range), page);
}

function* writeOnce(store: StoreState, blob: Blob, index: number): Steps<void> {
  const { geometry } = store;
  const { map } = blob;
  store.pagesAhead?.forget();
  yield* markDirty(store);
  const pageNow = () => map.extentPages.get(index) as MdPage;
  while (pageNow() >= store.mdPageMark) yield* raiseMdPageMark(store, [pageNow()]);
  map.dirtyExtentPages.delete(index);
  blob.lengthenedExtentPages.delete(index);
  const mapped = mappedClusterCount(store, blob, index);
  // Clusters past the end in the root on disk are left to the next persist.
  if (clustersInPage(mapped, index) < clustersInPage(blob.clusterCount, index)) map.dirtyExtentPages.add(index);
  try {
    const page = encodeBlobExtentPage(store, blob, index);
    const lba = geometry.mdPageToLba(pageNow());
    yield* wait(store.deviceChannel.write(page.bytes, 0, lba, geometry.blocksPerPage));
    store.pageBuffers.give(page);
  } catch (error) {
    map.dirtyExtentPages.add(index);
    blob.state = 'dirty';
    throw error;
  }
}
