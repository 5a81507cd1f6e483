/**
 * The extent descriptor of blobs without an extent table: runs of clusters, each a first device cluster (u32) and a
 * length (u32).
 */

import type { DeviceCluster } from '../units/units.js';
import { DESCRIPTOR, DESCRIPTOR_HEADER_BYTES, writeDescriptorHeader } from './descriptor.js';

/** Bytes of a run. */
export const RUN_BYTES = 8;

/** Consecutive clusters of a blob that are consecutive on the device, or all unallocated (`first` 0). */
export interface ClusterRun {
  first: DeviceCluster;
  length: number;
}

/** Bytes of a descriptor with one run. */
export const EXTENT_RLE_BYTES_MIN = DESCRIPTOR_HEADER_BYTES + RUN_BYTES;

export interface EncodedExtents {
  /** Bytes written. */
  bytes: number;
  /** The first cluster that did not fit; the blob's number of clusters if all did. */
  nextCluster: number;
}

/**
 * Writes a descriptor with as many clusters from `from` on as fit into `room` bytes, at least one run.
 * @param room - at least `EXTENT_RLE_BYTES_MIN`
 */
export function encodeExtentRle(
  view: DataView,
  at: number,
  room: number,
  clusterAt: (index: number) => number,
  from: number,
  clusterCount: number,
): EncodedExtents {
  let payload = at + DESCRIPTOR_HEADER_BYTES;
  let cluster = from;
  while (cluster < clusterCount && payload + RUN_BYTES <= at + room) {
    const first = clusterAt(cluster);
    let length = 1;
    while (cluster + length < clusterCount && clusterAt(cluster + length) === (first === 0 ? 0 : first + length))
      length++;
    view.setUint32(payload, first, true);
    view.setUint32(payload + 4, length, true);
    payload += RUN_BYTES;
    cluster += length;
  }
  writeDescriptorHeader(view, at, DESCRIPTOR.EXTENT_RLE, payload - at - DESCRIPTOR_HEADER_BYTES);
  return { bytes: payload - at, nextCluster: cluster };
}

/** The runs of a descriptor. Undefined when the payload is not a whole number of runs, or has none. */
export function decodeExtentRle(view: DataView, payloadAt: number, payloadBytes: number): ClusterRun[] | undefined {
  if (payloadBytes === 0 || payloadBytes % RUN_BYTES !== 0) return undefined;
  const runs: ClusterRun[] = [];
  for (let at = payloadAt; at < payloadAt + payloadBytes; at += RUN_BYTES) {
    runs.push({ first: view.getUint32(at, true) as DeviceCluster, length: view.getUint32(at + 4, true) });
  }
  return runs;
}
