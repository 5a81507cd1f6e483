/**
 * The extent table descriptor: the number of clusters in the blob (u64), then entries of an extent page (u32) and a
 * count (u32). An entry with page 0 stands for `count` extent pages that are not allocated; any other entry stands for
 * one extent page.
 */

import { type MdPage, NONE_U32 } from '../units/units.js';
import { DESCRIPTOR, DESCRIPTOR_HEADER_BYTES, writeDescriptorHeader } from './descriptor.js';

const CLUSTER_COUNT_BYTES = 8;
const ENTRY_BYTES = 8;

/** Bytes of a descriptor without entries. */
export const EXTENT_TABLE_BYTES_MIN = DESCRIPTOR_HEADER_BYTES + CLUSTER_COUNT_BYTES;

/** The page of an entry for extent pages that are not allocated. */
export const NO_EXTENT_PAGE = 0 as MdPage;

export interface ExtentTableEntry {
  /** The metadata page of the extent page; 0 for a run of unallocated ones. */
  page: MdPage;
  count: number;
}

export interface ExtentTable {
  /** Clusters in the blob; `Infinity` when the field is larger than 2^32 - 1. */
  clusterCount: number;
  entries: ExtentTableEntry[];
}

export interface EncodedTable {
  /** Bytes written. */
  bytes: number;
  /** The first entry that did not fit; the number of entries if all did. */
  nextEntry: number;
}

/**
 * Writes a descriptor with as many entries from entry `from` on as fit into `room` bytes.
 * @param room - at least `EXTENT_TABLE_BYTES_MIN`
 */
export function encodeExtentTable(
  view: DataView,
  at: number,
  room: number,
  clusterCount: number,
  entries: readonly ExtentTableEntry[],
  from: number,
): EncodedTable {
  const payload = at + DESCRIPTOR_HEADER_BYTES;
  view.setBigUint64(payload, BigInt(clusterCount), true);
  let entryAt = payload + CLUSTER_COUNT_BYTES;
  let next = from;
  for (; next < entries.length && entryAt + ENTRY_BYTES <= at + room; next++) {
    view.setUint32(entryAt, entries[next].page, true);
    view.setUint32(entryAt + 4, entries[next].count, true);
    entryAt += ENTRY_BYTES;
  }
  writeDescriptorHeader(view, at, DESCRIPTOR.EXTENT_TABLE, entryAt - payload);
  return { bytes: entryAt - at, nextEntry: next };
}

/**
 * The table in a descriptor. Undefined when the payload is not a whole number of entries, or an entry of an allocated
 * page has another count than 1.
 */
export function decodeExtentTable(view: DataView, payloadAt: number, payloadBytes: number): ExtentTable | undefined {
  const entriesBytes = payloadBytes - CLUSTER_COUNT_BYTES;
  if (entriesBytes < 0 || entriesBytes % ENTRY_BYTES !== 0) return undefined;
  const clusterCount = view.getBigUint64(payloadAt, true);
  const entries: ExtentTableEntry[] = [];
  for (let at = payloadAt + CLUSTER_COUNT_BYTES; at < payloadAt + payloadBytes; at += ENTRY_BYTES) {
    const page = view.getUint32(at, true) as MdPage;
    const count = view.getUint32(at + 4, true);
    if (page !== 0 && count !== 1) return undefined;
    entries.push({ page, count });
  }
  return { clusterCount: clusterCount > BigInt(NONE_U32) ? Number.POSITIVE_INFINITY : Number(clusterCount), entries };
}
