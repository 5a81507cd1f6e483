/** Reads and writes the masks of used pages, used clusters and used blob ids. */

import type { DeviceChannel } from '../device/block-device.js';
import { decodeMask, encodeMask, MASK, type MaskType, maskBitsMax, maskPages } from '../format/mask.js';
import type { PageRange, SuperBlock } from '../format/super-block.js';
import { BitArray } from '../shared/bit-array.js';
import { type Steps, wait } from '../steps/steps.js';
import { BlobstoreError } from '../units/error.js';
import type { Geometry } from '../units/geometry.js';
import { PAGE_BYTES } from '../units/units.js';
import type { StoreState } from './store-state.js';

const MASK_NAMES = ['used pages', 'used clusters', 'used blob ids'];

/** The three masks of a store. */
export interface Masks {
  pages: BitArray;
  clusters: BitArray;
  blobIds: BitArray;
}

/**
 * Reads the three masks of a store that was cleanly unloaded. Throws EILSEQ when one does not match the super block.
 */
export function* readMasks(
  channel: DeviceChannel,
  geometry: Geometry,
  block: SuperBlock,
  clusterCount: number,
): Steps<Masks> {
  const mdPages = geometry.mdPageCount;
  const pages = yield* readMask(channel, geometry, MASK.USED_PAGES, block.pageMask, mdPages, false);
  const clusters = yield* readMask(channel, geometry, MASK.USED_CLUSTERS, block.clusterMask, clusterCount, true);
  const blobIds = yield* readMask(channel, geometry, MASK.USED_BLOB_IDS, block.blobIdMask, mdPages, false);
  return { pages, clusters, blobIds };
}

/** @param mayBeLonger - accepts a mask that is longer than the store, which an interrupted grow leaves */
function* readMask(
  channel: DeviceChannel,
  geometry: Geometry,
  type: MaskType,
  range: PageRange,
  bitCount: number,
  mayBeLonger: boolean,
): Steps<BitArray> {
  const bytes = yield* readMaskPages(channel, geometry, range, bitCount);
  const mask = decodeMask(bytes);
  const lengthFits = mayBeLonger ? mask.bitCount >= bitCount : mask.bitCount === bitCount;
  if (mask.type !== type || !lengthFits || mask.bitCount > maskBitsMax(range.count)) {
    const found = `type ${mask.type} and ${mask.bitCount} bits where type ${type} and ${bitCount} bits should be`;
    const advice = 'opening the store with `forceRecover` rebuilds the masks';
    throw new BlobstoreError('EILSEQ', `the mask of ${MASK_NAMES[type]} is damaged: it has ${found}; ${advice}`);
  }
  const bits = BitArray.private(bitCount);
  bits.loadMask(mask.bits);
  return bits;
}

/**
 * Reads the header and bits of a mask. Reads no more pages than `bitCount` bits need, whatever the super block says.
 */
export function* readMaskPages(
  channel: DeviceChannel,
  geometry: Geometry,
  range: PageRange,
  bitCount: number,
): Steps<Uint8Array> {
  const pageCount = Math.min(range.count, maskPages(bitCount));
  const bytes = new Uint8Array(pageCount * PAGE_BYTES);
  yield* wait(channel.read(bytes, 0, geometry.pageToLba(range.start), geometry.pageToLba(pageCount)));
  return bytes;
}

/** Writes the masks from memory. Stores of versions before 3 have no mask of blob ids. */
export function* writeMasks(store: StoreState, block: SuperBlock): Steps<void> {
  const { pages } = store.shared;
  const { mdPageCount } = store.geometry;
  yield* writeMask(store, MASK.USED_PAGES, block.pageMask, mdPageCount, (to) => pages.storeMask(to));
  if (block.blobIdMask.count > 0) {
    yield* writeMask(store, MASK.USED_BLOB_IDS, block.blobIdMask, mdPageCount, (to) => store.usedBlobIds.storeMask(to));
  }
  yield* writeClusterMask(store, block);
}

/** Writes only the mask of used clusters. */
export function* writeClusterMask(store: StoreState, block: SuperBlock): Steps<void> {
  const { clusters } = store.shared;
  // A grow that failed may have changed the super block on disk: the mask must cover the size that it says.
  const clusterCount = Math.max(clusters.capacity, Math.floor(block.sizeBytes / block.clusterBytes));
  yield* writeMask(store, MASK.USED_CLUSTERS, block.clusterMask, clusterCount, (to) => clusters.storeMask(to));
}

function* writeMask(
  store: StoreState,
  type: MaskType,
  range: PageRange,
  bitCount: number,
  storeBits: (target: Uint8Array) => void,
): Steps<void> {
  const { geometry, shared } = store;
  const pageCount = Math.min(range.count, maskPages(bitCount));
  const bytes = shared.locked(() => encodeMask(type, bitCount, pageCount, storeBits));
  yield* wait(store.deviceChannel.write(bytes, 0, geometry.pageToLba(range.start), geometry.pageToLba(pageCount)));
}
