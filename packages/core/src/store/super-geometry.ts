/** What a super block says of where everything lies, believed only when it can be. */

import type { BlockDevice } from '../device/block-device.js';
import { BlobstoreError } from '../error.js';
import { maskPages } from '../format/mask.js';
import type { PageRange, SuperBlock } from '../format/super-block.js';
import { Geometry } from '../units/geometry.js';
import { NONE_U32, PAGE_BYTES } from '../units/units.js';

/** Pages that the cluster mask may take: up to the next mask, or its own length in old stores. */
export function clusterMaskRoom(block: SuperBlock): number {
  const { start, count } = block.clusterMask;
  if (block.blobIdMask.count === 0) return count;
  const others = [block.blobIdMask, block.pageMask, block.metadata].map((range) => range.start);
  const nextStart = Math.min(...others.filter((other) => other > start));
  return Math.max(count, Math.min(nextStart, block.blobIdMask.start) - start);
}

/** The geometry in a super block. EILSEQ when it cannot be that of a store on this device. */
export function parseGeometry(block: SuperBlock, device: BlockDevice): Geometry {
  const ioUnitBytes = block.ioUnitBytes === 0 ? PAGE_BYTES : block.ioUnitBytes;
  const { clusterBytes, metadata, mdPageBytes } = block;
  const { blockLengthBytes } = device;
  if (mdPageBytes !== 0 && mdPageBytes !== PAGE_BYTES) {
    throw unusable(`its metadata pages have ${mdPageBytes} bytes, this engine works with ${PAGE_BYTES}`);
  }
  if (clusterBytes < PAGE_BYTES || clusterBytes % PAGE_BYTES !== 0)
    throw unusable(`its clusters have ${clusterBytes} bytes`);
  if (PAGE_BYTES % ioUnitBytes !== 0 || ioUnitBytes % blockLengthBytes !== 0) {
    throw unusable(`its io units have ${ioUnitBytes} bytes, the device's blocks ${blockLengthBytes}`);
  }
  const clusterCount = Math.floor(block.sizeBytes / clusterBytes);
  const pagesInStore = Math.floor(block.sizeBytes / PAGE_BYTES);
  if (clusterCount >= NONE_U32) throw unusable(`it has ${clusterCount} clusters`);
  if (metadata.start === 0 || metadata.count === 0 || metadata.start + metadata.count > pagesInStore) {
    throw unusable(`its metadata region, ${metadata.count} pages from ${metadata.start}, is outside of it`);
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

/** Masks must have room for their bits, and lie apart from each other, from the metadata region, and from blobs' data. */
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

function overlap(a: PageRange, b: PageRange): boolean {
  return a.start < b.start + b.count && b.start < a.start + a.count;
}

function unusable(how: string): BlobstoreError {
  return new BlobstoreError('EILSEQ', `the super block describes no usable store: ${how}`);
}
