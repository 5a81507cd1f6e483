/**
 * The high-water mark: no cluster at or above it has been handed out since the store was last known to be in order.
 *
 * A cluster holds data before any map on disk names it: with `power-loss` durability until the next sync, with `process-crash`
 * while it is copied on write; and one that was given back holds it until it is cleared. So recovery finds clusters free that
 * are not empty, and must clear them before somebody else gets them. Clearing all free space would take hours on a large disk
 * without discard. So the mark is kept on disk, in the place of the used-cluster mask, which nobody
 * reads while the store is in use: bits below the mark are set. It is raised, durably, in large steps, before a cluster above
 * it gets data. The pool hands out its lowest cluster first, so the mark stays close to what is used.
 *
 * A mark has a type of its own, by which it can be told from a mask that an earlier unload left. Both say what may have to be
 * cleared, but only of a mark it is certain that no cluster above it was ever given to a blob: the reference does not write the
 * place while a store is in use.
 */

import { decodeMask, encodeMask, MASK, maskBitsMax, maskPages } from '../format/mask.js';
import type { PageRange } from '../format/super-block.js';
import type { BitArray } from '../shared/bit-array.js';
import { type Steps, wait } from '../steps/steps.js';
import { type DeviceCluster, NONE_U32 } from '../units/units.js';
import type { StoreState } from './store-state.js';
import { markDirty } from './super-block-io.js';

/** Clusters by which the mark is raised: at least so many, and at least one of so many parts of the device. */
const STEP_CLUSTERS_MIN = 1024;
const STEP_PARTS = 256;
/** The mark where none is kept. */
export const NO_HIGH_WATER = NONE_U32;

/** Makes sure that the mark on disk is above a cluster that was claimed, before it is given data. Metadata thread. */
export function* raiseHighWater(store: StoreState, cluster: number): Steps<void> {
  while (cluster >= store.shared.highWater) yield* store.highWaterWrites.run(() => raiseOnce(store, cluster));
}

function* raiseOnce(store: StoreState, cluster: number): Steps<void> {
  if (cluster < store.shared.highWater) return;
  yield* markDirty(store); // a store that is clean on disk means its mask
  const { capacity } = store.shared.clusters;
  const step = Math.max(STEP_CLUSTERS_MIN, Math.ceil(capacity / STEP_PARTS));
  yield* writeHighWater(store, Math.min(capacity, Math.max(cluster + 1, store.highWaterMin) + step));
}

/** Writes the mark of a store that is marked as in use, durably. */
export function* writeHighWater(store: StoreState, mark: number): Steps<void> {
  const { deviceChannel, geometry, shared } = store;
  const pageCount = maskPages(mark);
  const bytes = encodeMask(MASK.HIGH_WATER, shared.clusters.capacity, pageCount, (bits) => setBitsBelow(bits, mark));
  const lba = geometry.pageToLba(store.clusterMask.start);
  yield* wait(deviceChannel.write(bytes, 0, lba, geometry.pageToLba(pageCount)));
  yield* store.barrier();
  shared.highWater = mark;
}

function setBitsBelow(bits: Uint8Array, count: number): void {
  bits.fill(0xff, 0, count >>> 3);
  if ((count & 7) !== 0) bits[count >>> 3] = (1 << (count & 7)) - 1;
}

/**
 * The mark that a crashed store left in the place of its cluster mask. All clusters when what is there is no mask; none when
 * nothing was ever written there.
 */
export function highWaterOf(maskBytes: Uint8Array, range: PageRange, clusterCount: number): number {
  const { type, bitCount, bits } = decodeMask(maskBytes);
  let last = bits.length - 1;
  while (last >= 0 && bits[last] === 0) last--;
  if (last < 0) return 0;
  const isMaskOrMark = type === MASK.USED_CLUSTERS || type === MASK.HIGH_WATER;
  if (!isMaskOrMark || bitCount > maskBitsMax(range.count)) return clusterCount;
  return Math.min(clusterCount, last * 8 + 32 - Math.clz32(bits[last]));
}

/** The mark where one was left, every bit below it set; undefined where something else is, which says nothing for certain. */
export function certainHighWaterOf(maskBytes: Uint8Array, range: PageRange, clusterCount: number): number | undefined {
  const { type, bitCount, bits } = decodeMask(maskBytes);
  if (type !== MASK.HIGH_WATER || bitCount > maskBitsMax(range.count)) return undefined;
  const mark = highWaterOf(maskBytes, range, clusterCount);
  for (let at = 0; at < mark >>> 3; at++) if (bits[at] !== 0xff) return undefined;
  return mark;
}

/** Clears the free clusters below the mark of a store that has been recovered, durably. */
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
  yield* store.barrier();
}
