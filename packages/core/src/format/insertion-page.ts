/**
 * A page of the insertion log (`state/insertion-log.ts`). All numbers are little endian.
 *
 * | offset | bytes | field |
 * |---|---|---|
 * | 0 | 8 | `BYINSLOG`. The page takes the place of a page of a mask; its first byte, `B`, is no mask type |
 * | 8 | 4 | version, 1 |
 * | 12 | 4 | number of records |
 * | 16 | 16 | identity of the cache that took the write (`BlockDevice.cacheOwner`) |
 * | 32 | 24 each | records: first page of the blob, cluster of the blob, cluster of the device, number of clusters, metadata page of the extent page or 0, order |
 * | after the last record | 4 | crc of everything before it; the bytes after it are not used |
 *
 * A record says that a run of clusters of the blob lies at a run of clusters of the device. All of them belong to one
 * extent page. If two records name the same cluster of a blob, the one with the higher order is valid.
 */

import { type BlobCluster, type DeviceCluster, type MdPage, PAGE_BYTES } from '../units/units.js';
import { crc32c } from './crc32c.js';

const MAGIC = 'BYINSLOG';
const VERSION = 1;
const VERSION_AT = 8;
const COUNT_AT = 12;
const OWNER_AT = 16;
const RECORDS_AT = 32;
const RECORD_BYTES = 24;
const CRC_BYTES = 4;

/** Bytes of the identity of a cache. */
export const CACHE_OWNER_BYTES = 16;
/** Records in a page. */
export const INSERTIONS_PER_PAGE = Math.floor((PAGE_BYTES - RECORDS_AT - CRC_BYTES) / RECORD_BYTES);

/** A run of clusters that was inserted into a blob's map. */
export interface InsertionRecord {
  /** The blob's first page. */
  readonly blobPage: MdPage;
  /** The first cluster of the run, counted in the blob. */
  readonly index: BlobCluster;
  /** The first cluster of the run on the device. */
  readonly cluster: DeviceCluster;
  /** Clusters in the run, from 1. */
  count: number;
  /** The metadata page of the extent page that maps them; 0 in a blob without an extent table. */
  readonly extentPage: MdPage;
  /** Rises with each record of a log. */
  readonly order: number;
}

/** A page in memory that is written repeatedly. The caller encodes again only the records that have changed. */
export class InsertionPage {
  readonly bytes = new Uint8Array(PAGE_BYTES);
  readonly #view = new DataView(this.bytes.buffer);

  /** @param owner - identity of the cache that takes the writes, 16 bytes */
  constructor(owner: Uint8Array) {
    for (let at = 0; at < MAGIC.length; at++) this.bytes[at] = MAGIC.charCodeAt(at);
    this.#view.setUint32(VERSION_AT, VERSION, true);
    this.bytes.set(owner.subarray(0, CACHE_OWNER_BYTES), OWNER_AT);
  }

  /** Encodes a record. `position` is its index in the page, below `INSERTIONS_PER_PAGE`. */
  put(position: number, { blobPage, index, cluster, count, extentPage, order }: Readonly<InsertionRecord>): void {
    const at = RECORDS_AT + position * RECORD_BYTES;
    this.#view.setUint32(at, blobPage, true);
    this.#view.setUint32(at + 4, index, true);
    this.#view.setUint32(at + 8, cluster, true);
    this.#view.setUint32(at + 12, count, true);
    this.#view.setUint32(at + 16, extentPage, true);
    this.#view.setUint32(at + 20, order, true);
  }

  /** Ends the page after `count` records and writes the crc. Write the page before the next `put`. */
  seal(count: number): void {
    this.#view.setUint32(COUNT_AT, count, true);
    const end = RECORDS_AT + count * RECORD_BYTES;
    this.#view.setUint32(end, crc32c(this.bytes, 0, end), true);
  }
}

/**
 * The records of a page. Undefined when it is no page of a log, is damaged, or was written through another cache than
 * `owner`.
 */
export function decodeInsertionPage(bytes: Uint8Array, owner: Uint8Array): InsertionRecord[] | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, PAGE_BYTES);
  for (let at = 0; at < MAGIC.length; at++) if (bytes[at] !== MAGIC.charCodeAt(at)) return undefined;
  const count = view.getUint32(COUNT_AT, true);
  if (view.getUint32(VERSION_AT, true) !== VERSION || count > INSERTIONS_PER_PAGE) return undefined;
  const end = RECORDS_AT + count * RECORD_BYTES;
  if (view.getUint32(end, true) !== crc32c(bytes, 0, end)) return undefined;
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
