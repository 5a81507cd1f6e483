/**
 * The high-water mark: no cluster at or above it has been given data since the store was last known to be consistent.
 *
 * After a crash, free clusters may hold old data, for two reasons. First, a cluster gets data before a map on disk
 * names it: with `power-loss` durability it is not named until the next sync, with `process-crash` not while it is
 * copied on write. Second, a freed cluster keeps its data until it is cleared. Recovery must clear such clusters before
 * another blob gets them. To clear all free space would take hours on a large disk without discard. So the mark is kept
 * on disk, and recovery clears only the free clusters below it.
 *
 * The mark takes the place of the used-cluster mask, which is not read while the store is in use: the bits below the
 * mark are set. Before a cluster above the mark gets data, the mark is raised in a large step, and made durable. The
 * pool allocates its lowest free cluster first, so the mark stays close to the clusters that are used.
 *
 * The mark has a mask type of its own, which distinguishes it from a mask that an earlier unload wrote. Either of them
 * says which clusters may have to be cleared. But only a mark proves that no cluster above it was ever given to a blob:
 * SPDK does not update a mask while a store is in use.
 */

import { decodeMask, encodeMask, MASK, maskBitsMax, maskPages } from '../format/mask.js';
import type { PageRange } from '../format/super-block.js';
import type { BitArray } from '../shared/bit-array.js';
import { type Steps, wait } from '../steps/steps.js';
import { type DeviceCluster, NONE_U32 } from '../units/units.js';
import type { StoreState } from './store-state.js';
import { markDirty } from './super-block-io.js';

/** The mark is raised by at least this many clusters, and by at least 1/256 (`STEP_PARTS`) of the device. */
const STEP_CLUSTERS_MIN = 1024;
const STEP_PARTS = 256;
/** The mark of a store that does not keep one. */
export const NO_HIGH_WATER = NONE_U32;

/** Ensures that the mark on disk is above a claimed cluster, before the cluster is given data. Metadata thread. */
export function* raiseHighWater(store: StoreState, cluster: number): Steps<void> {
  while (cluster >= store.shared.highWater) yield* store.highWaterWrites.run(() => raiseOnce(store, cluster));
}

function* raiseOnce(store: StoreState, cluster: number): Steps<void> {
  if (cluster < store.shared.highWater) return;
  yield* markDirty(store); // while the super block says clean, this place must hold a mask
  const { capacity } = store.shared.clusters;
  const step = Math.max(STEP_CLUSTERS_MIN, Math.ceil(capacity / STEP_PARTS));
  yield* writeHighWater(store, Math.min(capacity, Math.max(cluster + 1, store.highWaterMin) + step));
}

/** Writes the mark, and makes it durable. The store must be marked as in use on disk. */
export function* writeHighWater(store: StoreState, mark: number): Steps<void> {
  const { deviceChannel, geometry, shared } = store;
  const pageCount = maskPages(mark);
  const bytes = encodeMask(MASK.HIGH_WATER, shared.clusters.capacity, pageCount, (bits) => setBitsBelow(bits, mark));
  const lba = geometry.pageToLba(store.clusterMask.start);
  yield* wait(deviceChannel.write(bytes, 0, lba, geometry.pageToLba(pageCount)));
  yield* store.barrierAtOnce();
  shared.highWater = mark;
}

function setBitsBelow(bits: Uint8Array, count: number): void {
  bits.fill(0xff, 0, count >>> 3);
  if ((count & 7) !== 0) bits[count >>> 3] = (1 << (count & 7)) - 1;
}

/**
 * The mark that a crashed store has left in the place of its cluster mask. If the place holds neither a mask nor a
 * mark, the result is all clusters; if it was never written, 0.
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

/**
 * The mark, if the place holds one and every bit below it is set. Undefined for anything else, which does not prove
 * anything.
 */
export function certainHighWaterOf(maskBytes: Uint8Array, range: PageRange, clusterCount: number): number | undefined {
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
