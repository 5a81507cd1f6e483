/**
 * The frame that every metadata page has, whether it is part of a chain or an extent page: id, sequence number,
 * descriptors, link, crc.
 *
 * | offset | bytes | field |
 * |---|---|---|
 * | 0 | 8 | blob id |
 * | 8 | 4 | sequence number in the blob's chain, from 0 |
 * | 16 | 4072 | descriptors |
 * | 4088 | 4 | next page of the chain, or `NONE_U32` |
 * | 4092 | 4 | crc of everything before it |
 */

import { assert } from '../units/error.js';
import { type BlobId, type MdPage, NONE_U32, PAGE_BYTES } from '../units/units.js';
import { crc32c } from './crc32c.js';

const ID_AT = 0;
const SEQUENCE_AT = 8;
/** Where a page's descriptors begin. */
export const DESCRIPTORS_AT = 16;
/** Bytes of descriptors in a page. */
export const DESCRIPTORS_BYTES = 4072;
const NEXT_AT = 4088;
const CRC_AT = 4092;

/** A view of the bytes of a metadata page in memory; it does not copy them. */
export class MdPageView {
  readonly bytes: Uint8Array;
  readonly view: DataView;

  /** @param start - where in `bytes` the page begins; a multiple of 4 in the underlying buffer */
  constructor(bytes: Uint8Array, start = 0) {
    this.bytes = bytes.subarray(start, start + PAGE_BYTES);
    assert(this.bytes.length === PAGE_BYTES, 'a metadata page is 4096 bytes');
    this.view = new DataView(bytes.buffer, bytes.byteOffset + start, PAGE_BYTES);
  }

  /** A page of zeroes. */
  static zeroed(): MdPageView {
    return new MdPageView(new Uint8Array(PAGE_BYTES));
  }

  get id(): BlobId {
    return this.view.getBigUint64(ID_AT, true);
  }

  get sequence(): number {
    return this.view.getUint32(SEQUENCE_AT, true);
  }

  /** The next page of the chain, or `NONE_U32`. */
  get next(): number {
    return this.view.getUint32(NEXT_AT, true);
  }

  get crc(): number {
    return this.view.getUint32(CRC_AT, true);
  }

  /** True when the whole page is zeroes: it was never written, or was cleared. */
  get isZero(): boolean {
    for (let at = 0; at < PAGE_BYTES; at += 4) if (this.view.getUint32(at, true) !== 0) return false;
    return true;
  }

  /** True when the crc matches the bytes. */
  get isSealed(): boolean {
    return this.crc === pageCrc(this.bytes);
  }

  /** Writes the frame of the last page of a chain, without the crc. Leaves the descriptors as they are. */
  start(id: BlobId, sequence: number): void {
    this.view.setBigUint64(ID_AT, id, true);
    this.view.setUint32(SEQUENCE_AT, sequence, true);
    this.view.setUint32(NEXT_AT, NONE_U32, true);
  }

  /** Sets the next page of the chain. */
  link(next: MdPage): void {
    this.view.setUint32(NEXT_AT, next, true);
  }

  /** Writes the crc. The page must not change afterwards. */
  seal(): void {
    this.view.setUint32(CRC_AT, pageCrc(this.bytes), true);
  }
}

/** The crc for the last four bytes of a page. The super block and metadata pages have it at the same place. */
export function pageCrc(page: Uint8Array): number {
  return crc32c(page, 0, CRC_AT);
}
