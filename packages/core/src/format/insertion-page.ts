/**
 * A page of the insertion log (`store/insertion-log.ts`). All numbers are little endian.
 *
 * | offset | bytes | field |
 * |---|---|---|
 * | 0 | 8 | `BYINSLOG`: its first byte is no type of a mask, whose place the page takes |
 * | 8 | 4 | version, 1 |
 * | 12 | 4 | how many records follow |
 * | 16 | 16 | the owner of the cache that took the write (`BlockDevice.cacheOwner`) |
 * | 32 | 24 each | records: first page of the blob, cluster of the blob, cluster of the device, how many of both, page of the extent page or 0, order |
 * | 4092 | 4 | crc of all before it |
 *
 * A record says that a run of clusters of the blob lies at a run of clusters of the device, all in one extent page. Where two say
 * something of the same cluster of a blob, the one of the higher order is right.
 */

import { type BlobCluster, type DeviceCluster, type MdPage, PAGE_BYTES } from '../units/units.js';
import { pageCrc } from './md-page.js';

const MAGIC = 'BYINSLOG';
const VERSION = 1;
const VERSION_AT = 8;
const COUNT_AT = 12;
const OWNER_AT = 16;
const RECORDS_AT = 32;
const RECORD_BYTES = 24;
const CRC_AT = 4092;

/** Bytes that say who has the cache. */
export const CACHE_OWNER_BYTES = 16;
/** Records in a page. */
export const INSERTIONS_PER_PAGE = Math.floor((CRC_AT - RECORDS_AT) / RECORD_BYTES);

/** Clusters that came into a blob's map. */
export interface InsertionRecord {
  /** The blob's first page. */
  readonly blobPage: MdPage;
  readonly index: BlobCluster;
  readonly cluster: DeviceCluster;
  /** Clusters, from 1. */
  count: number;
  /** The extent page that maps them, 0 in a blob without an extent table. */
  readonly extentPage: MdPage;
  readonly order: number;
}

/** Makes the page; `target` has 4096 bytes, whatever they are. */
export function encodeInsertionPage(
  target: Uint8Array,
  owner: Uint8Array,
  records: readonly Readonly<InsertionRecord>[],
): void {
  const view = new DataView(target.buffer, target.byteOffset, PAGE_BYTES);
  for (let at = 0; at < MAGIC.length; at++) target[at] = MAGIC.charCodeAt(at);
  view.setUint32(VERSION_AT, VERSION, true);
  view.setUint32(COUNT_AT, records.length, true);
  target.set(owner.subarray(0, CACHE_OWNER_BYTES), OWNER_AT);
  let at = RECORDS_AT;
  for (const { blobPage, index, cluster, count, extentPage, order } of records) {
    view.setUint32(at, blobPage, true);
    view.setUint32(at + 4, index, true);
    view.setUint32(at + 8, cluster, true);
    view.setUint32(at + 12, count, true);
    view.setUint32(at + 16, extentPage, true);
    view.setUint32(at + 20, order, true);
    at += RECORD_BYTES;
  }
  target.fill(0, at, CRC_AT);
  view.setUint32(CRC_AT, pageCrc(target), true);
}

/** The records of a page; undefined when it is none, or none that this owner of a cache has taken. */
export function decodeInsertionPage(bytes: Uint8Array, owner: Uint8Array): InsertionRecord[] | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, PAGE_BYTES);
  for (let at = 0; at < MAGIC.length; at++) if (bytes[at] !== MAGIC.charCodeAt(at)) return undefined;
  const count = view.getUint32(COUNT_AT, true);
  if (view.getUint32(VERSION_AT, true) !== VERSION || count > INSERTIONS_PER_PAGE) return undefined;
  if (view.getUint32(CRC_AT, true) !== pageCrc(bytes)) return undefined;
  for (let at = 0; at < CACHE_OWNER_BYTES; at++) if (bytes[OWNER_AT + at] !== owner[at]) return undefined;
  return Array.from({ length: count }, (_, record) => {
    const at = RECORDS_AT + record * RECORD_BYTES;
    return {
      blobPage: view.getUint32(at, true) as MdPage,
      index: view.getUint32(at + 4, true) as BlobCluster,
      cluster: view.getUint32(at + 8, true) as DeviceCluster,
      count: view.getUint32(at + 12, true),
      extentPage: view.getUint32(at + 16, true) as MdPage,
      order: view.getUint32(at + 20, true),
    };
  });
}
