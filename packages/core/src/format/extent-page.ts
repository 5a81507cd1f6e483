/**
 * The extent page: a metadata page outside any chain. It has one descriptor: the first cluster that it maps (u32), then
 * the device cluster of each (u32), 0 where nothing is allocated.
 */

import { type BlobId, CLUSTERS_PER_EXTENT_PAGE } from '../units/units.js';
import { DESCRIPTOR, DESCRIPTOR_HEADER_BYTES, writeDescriptorHeader } from './descriptor.js';
import { DESCRIPTORS_AT, DESCRIPTORS_BYTES, MdPageView } from './md-page.js';

const START_BYTES = 4;
const ENTRY_BYTES = 4;

/** The mapping in an extent page. */
export interface ExtentPage {
  /** The first cluster of the blob that the page maps. */
  startCluster: number;
  clusterCount: number;
  /** The device cluster of the blob's cluster `startCluster + index`, or 0. */
  clusterAt(index: number): number;
}

/**
 * Calls a function for each allocated cluster of a blob from cluster `start` up to, not including, `end`. `index` is
 * the cluster's index in the blob. If a cluster comes twice, the last call counts.
 */
export type ForEachCluster = (
  visit: (deviceCluster: number, index: number) => void,
  start: number,
  end: number,
) => void;

/**
 * Writes extent page `index` of a blob of `clusterCount` clusters, with its crc, into a page of zeroes, and returns it.
 */
export function encodeExtentPage(
  id: BlobId,
  index: number,
  clusterCount: number,
  forEachCluster: ForEachCluster,
  page: MdPageView = MdPageView.zeroed(),
): MdPageView {
  page.start(id, 0);
  const start = index * CLUSTERS_PER_EXTENT_PAGE;
  const mapped = Math.max(0, Math.min(clusterCount - start, CLUSTERS_PER_EXTENT_PAGE));
  const payloadBytes = START_BYTES + mapped * ENTRY_BYTES;
  const payload = writeDescriptorHeader(page.view, DESCRIPTORS_AT, DESCRIPTOR.EXTENT_PAGE, payloadBytes);
  const { view } = page;
  view.setUint32(payload, start, true);
  const entriesAt = payload + START_BYTES - start * ENTRY_BYTES;
  const write = (deviceCluster: number, cluster: number) => {
    view.setUint32(entriesAt + cluster * ENTRY_BYTES, deviceCluster, true);
  };
  forEachCluster(write, start, start + mapped);
  page.seal();
  return page;
}

/** The mapping in a descriptor. Undefined when the payload is not a whole number of entries, or has none. */
export function decodeExtentPage(view: DataView, payloadAt: number, payloadBytes: number): ExtentPage | undefined {
  const entriesBytes = payloadBytes - START_BYTES;
  if (entriesBytes <= 0 || entriesBytes % ENTRY_BYTES !== 0) return undefined;
  const entriesAt = payloadAt + START_BYTES;
  return {
    startCluster: view.getUint32(payloadAt, true),
    clusterCount: entriesBytes / ENTRY_BYTES,
    clusterAt: (index) => view.getUint32(entriesAt + index * ENTRY_BYTES, true),
  };
}

/**
 * True when a page is a valid extent page: its crc is right, its sequence number is 0, and it has exactly one
 * descriptor, of this type and within the page.
 */
export function isExtentPage(page: MdPageView): boolean {
  return page.isSealed && hasOnlyExtents(page);
}

/** As `isExtentPage`, for a page whose crc has been checked. */
export function hasOnlyExtents(page: MdPageView): boolean {
  const { view } = page;
  if (page.sequence !== 0) return false;
  if (view.getUint8(DESCRIPTORS_AT) !== DESCRIPTOR.EXTENT_PAGE) return false;
  const bytes = DESCRIPTOR_HEADER_BYTES + view.getUint32(DESCRIPTORS_AT + 1, true);
  if (bytes > DESCRIPTORS_BYTES) return false;
  const another = bytes + DESCRIPTOR_HEADER_BYTES <= DESCRIPTORS_BYTES;
  return !another || view.getUint32(DESCRIPTORS_AT + bytes + 1, true) === 0;
}
