/** Metadata pages as bytes on the device: tests read what was written, and damage it. */

import { crc32c } from '@blobyard/core';
import type { Yard } from './fixture.js';

export const DESCRIPTOR = {
  EXTENT_RLE: 1,
  XATTR: 2,
  FLAGS: 3,
  XATTR_INTERNAL: 4,
  EXTENT_TABLE: 5,
  EXTENT_PAGE: 6,
} as const;

export interface RawDescriptor {
  readonly type: number;
  readonly payload: DataView;
}

const DESCRIPTORS_AT = 16;
const DESCRIPTORS_END = 4088;
const NEXT_AT = 4088;
const CRC_AT = 4092;

/** The descriptors of a page. */
export function descriptorsOf(page: Uint8Array): RawDescriptor[] {
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  const found: RawDescriptor[] = [];
  for (let at = DESCRIPTORS_AT; at + 5 <= DESCRIPTORS_END; ) {
    const type = view.getUint8(at);
    const length = view.getUint32(at + 1, true);
    if (type === 0 && length === 0) break;
    found.push({ type, payload: new DataView(page.buffer, page.byteOffset + at + 5, length) });
    at += 5 + length;
  }
  return found;
}

/** The descriptors of a blob's chain on the device, from the metadata page `first` on. */
export function chainDescriptors(yard: Yard, first: number): RawDescriptor[] {
  const found: RawDescriptor[] = [];
  for (let page = first; page !== 0xffff_ffff; ) {
    const bytes = yard.peek(yard.mdPageOffset(page), 4096);
    found.push(...descriptorsOf(bytes));
    page = new DataView(bytes.buffer, bytes.byteOffset).getUint32(NEXT_AT, true);
  }
  return found;
}

/** The little-endian words of a payload. */
export function wordsOf(payload: DataView): number[] {
  return Array.from({ length: payload.byteLength / 4 }, (_, index) => payload.getUint32(index * 4, true));
}

/** Changes a metadata page on the device, and updates its crc. */
export function editPage(yard: Yard, page: number, edit: (bytes: Uint8Array) => void): void {
  yard.poke(yard.mdPageOffset(page), (bytes) => {
    edit(bytes);
    sealPage(bytes);
  });
}

/** Updates the crc of a page. */
export function sealPage(bytes: Uint8Array): void {
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(CRC_AT, crc32c(bytes.slice(), 0, CRC_AT), true);
}

/** Damages the crc of a metadata page on the device. A second call repairs it. */
export function flipCrc(yard: Yard, page: number): void {
  yard.poke(yard.mdPageOffset(page) + CRC_AT, (bytes) => (bytes[0] ^= 1), 4);
}
