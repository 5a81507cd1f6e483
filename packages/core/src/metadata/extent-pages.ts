/** Writing of extent pages. Writes of one page never overlap, and those asked for meanwhile become one. */

import type { Blob } from '../blob/blob.js';
import { encodeExtentPage } from '../format/extent-page.js';
import type { MdPageView } from '../format/md-page.js';
import type { StoreState } from '../store/store-state.js';
import { markDirty } from '../store/super-block-io.js';
import { CLUSTERS_PER_EXTENT_PAGE, type MdPage } from '../units/units.js';
import { Coalescer, type Steps, wait } from './steps.js';

/** The extent page that maps a cluster, by its number in the blob. */
export function extentPageIndex(cluster: number): number {
  return Math.floor(cluster / CLUSTERS_PER_EXTENT_PAGE);
}

/**
 * Writes extent page `index` of a blob as its map is now, on the page that it has.
 * @param clusterCount - how many clusters from the blob's start the page may map; asked for when the write begins, because the
 *   map may have become shorter while it waited for its turn
 */
export function* writeExtentPage(
  store: StoreState,
  blob: Blob,
  index: number,
  clusterCount: () => number,
): Steps<void> {
  const { map } = blob;
  const writes = map.writes.get(index) ?? new Coalescer();
  map.writes.set(index, writes);
  try {
    yield* writes.run(() => writeOnce(store, blob, index, clusterCount));
  } finally {
    // Whoever shared a write may come here only when others write the page already.
    if (!writes.isRunning && map.writes.get(index) === writes) map.writes.delete(index);
  }
}

/** Extent page `index` of a blob as its map is now. */
export function encodeBlobExtentPage(blob: Blob, index: number, clusterCount: number): MdPageView {
  return encodeExtentPage(blob.id, index, clusterCount, (cluster) => blob.map.clusterForDisk(cluster));
}

function* writeOnce(store: StoreState, blob: Blob, index: number, clusterCount: () => number): Steps<void> {
  const { geometry } = store;
  const { map } = blob;
  yield* markDirty(store);
  map.dirtyExtentPages.delete(index);
  blob.lengthenedExtentPages.delete(index);
  try {
    const page = encodeBlobExtentPage(blob, index, clusterCount());
    const lba = geometry.mdPageToLba(map.extentPages.get(index) as MdPage);
    yield* wait(store.deviceChannel.write(page.bytes, 0, lba, geometry.blocksPerPage));
  } catch (error) {
    map.dirtyExtentPages.add(index);
    blob.state = 'dirty';
    throw error;
  }
}
