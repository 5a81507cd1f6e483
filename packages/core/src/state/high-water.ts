/**
 * The two high-water marks. Since the store was last known to be consistent, no cluster at or above the mark of
 * clusters has been given data, and no metadata page at or above the mark of metadata pages has been written.
 *
 * *The mark of clusters.* After a crash, free clusters may hold old data, for two reasons. First, a cluster gets data
 * before a map on disk names it: with `power-loss` durability it is not named until the next sync, with `process-crash`
 * not while it is copied on write. Second, a freed cluster keeps its data until it is cleared. Recovery must clear such
 * clusters before another blob gets them. To clear all free space would take hours on a large disk without discard. So
 * recovery clears only the free clusters below the mark.
 *
 * *The mark of metadata pages.* The metadata region has a page for each cluster, and most of them are never used.
 * Recovery and check read only the pages below the mark.
 *
 * Both are on one page (`format/marks-page.ts`), which takes the place of the mask of used clusters. That mask is not
 * read while the store is in use. Before a cluster or page above its mark is written, the mark is raised in a large
 * step, and made durable. The lowest free cluster or page is allocated first, so the marks stay close to what is used.
 *
 * Recovery must not trust a mark that another engine has not kept, such as SPDK, which knows nothing of the marks. But
 * every engine writes the masks, over the page of the marks, before it changes metadata of a store that it recovers,
 * and at a clean unload. So a page of marks with a correct crc, in a store that was not closed, proves that the last
 * writer kept the marks. Without that page all metadata pages are read, and the mask in its place says which clusters
 * may have to be cleared.
 */

import type { DeviceChannel } from '../device/block-device.js';
import { decodeMarks, encodeMarks, type Marks } from '../format/marks-page.js';
import { decodeMask, MASK, maskBitsMax } from '../format/mask.js';
import type { PageRange, SuperBlock } from '../format/super-block.js';
import type { BitArray } from '../shared/bit-array.js';
import { type Steps, wait } from '../steps/steps.js';
import type { Geometry } from '../units/geometry.js';
import { type DeviceCluster, NONE_U32 } from '../units/units.js';
import { readMaskPages } from './masks.js';
import type { StoreState } from './store-state.js';

/** The mark of clusters is raised by 1/256 (`CLUSTER_PARTS`) of the device, within these bounds. */
const CLUSTER_STEP_MIN = 1024;
const CLUSTER_STEP_MAX = 4096;
const CLUSTER_PARTS = 256;
/**
 * The mark of metadata pages is set above the pages that must be below it, by the larger of two numbers: 1/8
 * (`PAGE_PARTS`) of these pages; and 256 (`PAGE_STEP`), or 1/8 of a region of less than 2048 pages. So what recovery
 * reads follows the pages in use, not the size of the device.
 */
const PAGE_STEP = 256;
const PAGE_PARTS = 8;
/** The marks of a store that does not keep any. */
export const NO_HIGH_WATER = NONE_U32;

/**
 * How far the mark of clusters is set above the clusters in use: by a step, so that the next first writes need not
 * raise it, or not at all. The mark of metadata pages always gets a step.
 */
export type Spare = 'step' | 'none';

/** Returns marks above the first `clusterEnd` clusters and `pageEnd` metadata pages. */
export function marksAbove(
  clusterEnd: number,
  pageEnd: number,
  counts: { clusterCount: number; mdPageCount: number },
  spare: Spare,
): Marks {
  const { clusterCount, mdPageCount } = counts;
  const clusterPart = Math.min(CLUSTER_STEP_MAX, Math.ceil(clusterCount / CLUSTER_PARTS));
  const clusterStep = Math.max(CLUSTER_STEP_MIN, clusterPart);
  const pageStep = Math.max(Math.min(PAGE_STEP, Math.ceil(mdPageCount / PAGE_PARTS)), Math.ceil(pageEnd / PAGE_PARTS));
  return {
    clusters: Math.min(clusterCount, clusterEnd + (spare === 'step' ? clusterStep : 0)),
    mdPages: Math.min(mdPageCount, pageEnd + pageStep),
  };
}

/** The first block and the bytes of the page with the marks of a store. */
export function marksOnDisk(
  marks: Marks,
  geometry: Geometry,
  block: Pick<SuperBlock, 'clusterMask'>,
  clusterCount: number,
): {
  lba: number;
  bytes: Uint8Array;
} {
  return { lba: geometry.pageToLba(block.clusterMask.start), bytes: encodeMarks(marks, geometry, clusterCount) };
}

/** Writes the marks, and makes them durable. The store must be marked as in use on disk. Writes must not overlap. */
export function* writeMarks(store: StoreState, marks: Marks): Steps<void> {
  const { deviceChannel, geometry, shared } = store;
  const { lba, bytes } = marksOnDisk(marks, geometry, store, shared.clusters.capacity);
  yield* wait(deviceChannel.write(bytes, 0, lba, geometry.blocksPerPage));
  yield* store.barrierAtOnce();
  shared.highWater = marks.clusters;
  store.mdPageMark = marks.mdPages;
}

/** Writes the first marks of a store that is in use on disk and has none there yet. */
export function* beginMarks(store: StoreState): Steps<void> {
  if (store.shared.highWater > 0) return;
  yield* store.highWaterWrites.run(() => raiseOnce(store, 0, 0));
}

/**
 * Raises the marks above the first `clusterEnd` clusters and `pageEnd` metadata pages. The caller runs it in
 * `store.highWaterWrites`.
 */
export function* raiseOnce(store: StoreState, clusterEnd: number, pageEnd: number): Steps<void> {
  const { shared, geometry, mdPageMark } = store;
  const { highWater } = shared;
  if (highWater > 0 && clusterEnd <= highWater && pageEnd <= mdPageMark) return;
  const counts = { clusterCount: shared.clusters.capacity, mdPageCount: geometry.mdPageCount };
  const above = marksAbove(
    Math.max(clusterEnd, store.highWaterMin),
    Math.max(pageEnd, store.mdPageMarkMin),
    counts,
    'step',
  );
  yield* writeMarks(store, {
    clusters: highWater > 0 && clusterEnd <= highWater ? highWater : above.clusters,
    mdPages: highWater > 0 && pageEnd <= mdPageMark ? mdPageMark : above.mdPages,
  });
}

/** What a store that was not closed has left in the place of its mask of used clusters. */
export interface FoundMarks {
  /** Free clusters below this one may hold old data. */
  readonly clearBelow: number;
  /** No cluster at or above this one was in use; undefined when that is not known. */
  readonly clusters: number | undefined;
  /** No metadata page at or above this one was in use; undefined when that is not known. */
  readonly mdPages: number | undefined;
}

/** Reads the marks, or what else is in their place. */
export function* readMarks(
  channel: DeviceChannel,
  geometry: Geometry,
  block: SuperBlock,
  clusterCount: number,
): Steps<FoundMarks> {
  const first = yield* readMaskPages(channel, geometry, block.clusterMask, 1);
  const marks = decodeMarks(first, geometry, clusterCount);
  if (marks !== undefined) {
    const mdPages = block.clean === 0 ? marks.mdPages : undefined; // in a closed store the page should not be there
    return { clearBelow: marks.clusters, clusters: marks.clusters, mdPages };
  }
  const bytes = yield* readMaskPages(channel, geometry, block.clusterMask, clusterCount);
  const clearBelow = highWaterOf(bytes, block.clusterMask, clusterCount);
  return { clearBelow, clusters: certainHighWaterOf(bytes, block.clusterMask, clusterCount), mdPages: undefined };
}

/**
 * The mark that an older version has left in the place of its cluster mask. If the place holds neither a mask nor a
 * mark, the result is all clusters; if it was never written, 0.
 */
function highWaterOf(maskBytes: Uint8Array, range: PageRange, clusterCount: number): number {
  const { type, bitCount, bits } = decodeMask(maskBytes);
  let last = bits.length - 1;
  while (last >= 0 && bits[last] === 0) last--;
  if (last < 0) return 0;
  const isMaskOrMark = type === MASK.USED_CLUSTERS || type === MASK.HIGH_WATER;
  if (!isMaskOrMark || bitCount > maskBitsMax(range.count)) return clusterCount;
  return Math.min(clusterCount, last * 8 + 32 - Math.clz32(bits[last]));
}

/**
 * The mark of an older version, if the place holds one and every bit below it is set. Undefined for anything else,
 * which does not prove anything: SPDK does not update a mask while a store is in use.
 */
function certainHighWaterOf(maskBytes: Uint8Array, range: PageRange, clusterCount: number): number | undefined {
  const { type, bitCount, bits } = decodeMask(maskBytes);
  if (type !== MASK.HIGH_WATER || bitCount > maskBitsMax(range.count)) return undefined;
  const mark = highWaterOf(maskBytes, range, clusterCount);
  for (let at = 0; at < mark >>> 3; at++) if (bits[at] !== 0xff) return undefined;
  return mark;
}

/** Clears the free clusters below the mark of a store that has been recovered, and makes that durable. */
export function* clearFreeBelow(store: StoreState, used: BitArray, mark: number): Steps<void> {
  const { device, deviceChannel, geometry } = store;
  for (let first = used.findFirstClear(0); first < mark; ) {
    const end = Math.min(used.findFirstSet(first), mark);
    const lba = geometry.clusterToLba(first as DeviceCluster);
    const blocks = (end - first) * geometry.blocksPerCluster;
    if (!device.isZeroes?.(lba, blocks)) yield* wait(deviceChannel.unmap(lba, blocks));
    yield undefined;
    first = used.findFirstClear(end);
  }
  yield* store.barrierAtOnce();
}
