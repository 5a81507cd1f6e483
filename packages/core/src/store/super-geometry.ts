/** Reads the store's layout from a super block, and checks that it is possible. */

import type { BlockDevice } from '../device/block-device.js';
import { maskBitsMax, maskPages } from '../format/mask.js';
import type { PageRange, SuperBlock } from '../format/super-block.js';
import { BlobstoreError } from '../units/error.js';
import { Geometry } from '../units/geometry.js';
import { NONE_U32, PAGE_BYTES } from '../units/units.js';

/** The smallest block length of a device, in bytes. */
const BLOCK_BYTES_MIN = 512;

/** How many pages the cluster mask can have: up to the region that follows it; in old stores, as many as it has. */
export function clusterMaskRoom(block: SuperBlock): number {
  const { start, count } = block.clusterMask;
  if (block.blobIdMask.count === 0) return count;
  const others = [block.blobIdMask, block.pageMask, block.metadata].map((range) => range.start);
  const nextStart = Math.min(...others.filter((other) => other > start));
  return Math.max(count, Math.min(nextStart, block.blobIdMask.start) - start);
}

/** The most clusters that the store can have: as many as fit into the pages that its cluster mask can have. */
export function clusterCountMax(block: SuperBlock): number {
  return Math.min(NONE_U32 - 1, maskBitsMax(clusterMaskRoom(block)));
}

/** The size to which the store can grow, in bytes. */
export function growLimitBytes(block: SuperBlock): number {
  return clusterCountMax(block) * block.clusterBytes;
}

/**
 * Returns the geometry in a super block.
 * @throws EILSEQ when it cannot be that of a store on this device; ENOTSUP when it may be a store of a newer SPDK, with
 * larger metadata pages; EINVAL when only the blocks of the device are too large for it
 */
export function parseGeometry(block: SuperBlock, device: BlockDevice): Geometry {
  const ioUnitBytes = block.ioUnitBytes === 0 ? PAGE_BYTES : block.ioUnitBytes;
  const { clusterBytes, metadata, mdPageBytes } = block;
  const { blockLengthBytes } = device;
  if (isPowerOfTwo(mdPageBytes) && mdPageBytes > PAGE_BYTES) {
    const reads = `this version reads only metadata pages of ${PAGE_BYTES}`;
    throw new BlobstoreError('ENOTSUP', `the store has metadata pages of ${mdPageBytes} bytes, and ${reads}`);
  }
  if (mdPageBytes !== 0 && mdPageBytes !== PAGE_BYTES) throw unusable(`its metadata pages have ${mdPageBytes} bytes`);
  if (clusterBytes < PAGE_BYTES || clusterBytes % PAGE_BYTES !== 0)
    throw unusable(`its clusters have ${clusterBytes} bytes`);
  if (isBlockLength(ioUnitBytes) && ioUnitBytes < blockLengthBytes) {
    const found = `the store has io units of ${ioUnitBytes} bytes, and the device blocks of ${blockLengthBytes}`;
    throw new BlobstoreError('EINVAL', `${found}: open the device with blocks of ${ioUnitBytes} bytes`);
  }
  if (PAGE_BYTES % ioUnitBytes !== 0 || ioUnitBytes % blockLengthBytes !== 0) {
    throw unusable(`its io units have ${ioUnitBytes} bytes, the device's blocks ${blockLengthBytes}`);
  }
  const clusterCount = Math.floor(block.sizeBytes / clusterBytes);
  const pagesInStore = Math.floor(block.sizeBytes / PAGE_BYTES);
  if (clusterCount >= NONE_U32) throw unusable(`it has ${clusterCount} clusters`);
  if (metadata.start === 0 || metadata.count === 0 || metadata.start + metadata.count > pagesInStore) {
    throw unusable(`its metadata region, ${metadata.count} pages from ${metadata.start}, is not inside the store`);
  }
  const geometry = new Geometry({
    blockLengthBytes,
    ioUnitBytes,
    clusterBytes,
    mdStartPage: metadata.start,
    mdPageCount: metadata.count,
  });
  if (geometry.metadataClusterCount() > clusterCount) throw unusable('its metadata region is larger than the store');
  requireMasks(block, geometry, clusterCount);
  return geometry;
}

/**
 * Checks that the masks have room for their bits, and do not overlap with each other, the metadata region, or blobs'
 * data.
 */
function requireMasks(block: SuperBlock, geometry: Geometry, clusterCount: number): void {
  const dataStartPage = geometry.metadataClusterCount() * geometry.pagesPerCluster;
  const { count: mdPageCount } = block.metadata;
  const needs = [
    ['used pages', block.pageMask, mdPageCount],
    ['used clusters', block.clusterMask, clusterCount],
    ['used blob ids', block.blobIdMask, block.blobIdMask.count === 0 ? 0 : mdPageCount],
  ] as const;
  const taken = [block.metadata];
  for (const [name, range, bits] of needs) {
    if (bits === 0) continue;
    if (taken.some((other) => overlap(range, other))) {
      throw unusable(`its mask of ${name}, ${range.count} pages from ${range.start}, lies where other metadata lies`);
    }
    taken.push(range);
    if (range.start === 0 || range.count < maskPages(bits)) {
      throw unusable(`its mask of ${name} has ${range.count} pages from ${range.start} for ${bits} bits`);
    }
    if (range.start + range.count > dataStartPage) {
      const place = `${range.count} pages from ${range.start}`;
      throw unusable(`its mask of ${name}, ${place}, reaches past page ${dataStartPage}, where blobs' data begins`);
    }
  }
}

function isPowerOfTwo(count: number): boolean {
  return count > 0 && (count & (count - 1)) === 0;
}

/** True when a device that holds a store can have this block length, in bytes. */
function isBlockLength(bytes: number): boolean {
  return isPowerOfTwo(bytes) && bytes >= BLOCK_BYTES_MIN && bytes <= PAGE_BYTES;
}

/**
 * Returns the block length that a device must have for the store on it, in bytes: the size of its io units. Undefined
 * when there is no store, or its super block is damaged.
 */
export function blockLengthOfStore(block: SuperBlock): number | undefined {
  const { ioUnitBytes } = block;
  return block.hasSignature && block.isSealed && isBlockLength(ioUnitBytes) ? ioUnitBytes : undefined;
}

function overlap(a: PageRange, b: PageRange): boolean {
  return a.start < b.start + b.count && b.start < a.start + a.count;
}

function unusable(how: string): BlobstoreError {
  return new BlobstoreError('EILSEQ', `the super block describes no usable store: ${how}`);
}
