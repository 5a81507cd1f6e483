/**
 * The header that all descriptors of a metadata page have (type and length), and the list of the descriptors of a page.
 */

import { DESCRIPTORS_AT, DESCRIPTORS_BYTES } from './md-page.js';

/** Descriptor types. */
export const DESCRIPTOR = {
  PADDING: 0,
  EXTENT_RLE: 1,
  XATTR: 2,
  FLAGS: 3,
  XATTR_INTERNAL: 4,
  EXTENT_TABLE: 5,
  EXTENT_PAGE: 6,
} as const;

/** Bytes before a descriptor's payload: type u8, length u32. */
export const DESCRIPTOR_HEADER_BYTES = 5;

/** One descriptor of a page. */
export interface Descriptor {
  type: number;
  /** Where the payload begins, in bytes from the page's start. */
  payloadAt: number;
  /** Bytes of payload, as the header says; not checked. */
  payloadBytes: number;
  /** False when the payload would end past the descriptor area of the page. */
  fits: boolean;
}

/** Writes a descriptor's type and length. Returns where its payload begins, in bytes from the start of the page. */
export function writeDescriptorHeader(view: DataView, at: number, type: number, payloadBytes: number): number {
  view.setUint8(at, type);
  view.setUint32(at + 1, payloadBytes, true);
  return at + DESCRIPTOR_HEADER_BYTES;
}

/**
 * The descriptors of a page, in order; at most one for each five bytes. The page ends at a padding descriptor of length
 * 0, or where no further header fits. Padding that has a length is left out.
 */
export function descriptorsOf(view: DataView): Descriptor[] {
  const found: Descriptor[] = [];
  const end = DESCRIPTORS_AT + DESCRIPTORS_BYTES;
  let at = DESCRIPTORS_AT;
  while (at + DESCRIPTOR_HEADER_BYTES <= end) {
    const type = view.getUint8(at);
    const payloadBytes = view.getUint32(at + 1, true);
    if (type === DESCRIPTOR.PADDING && payloadBytes === 0) break;
    const payloadAt = at + DESCRIPTOR_HEADER_BYTES;
    at = payloadAt + payloadBytes;
    if (type !== DESCRIPTOR.PADDING) found.push({ type, payloadAt, payloadBytes, fits: at <= end });
  }
  return found;
}
