/** What all descriptors of a metadata page share: a type, a length of what follows, and the walk over a page's descriptors. */

import { DESCRIPTORS_AT, DESCRIPTORS_BYTES } from './md-page.js';

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
  /** Bytes of payload as the descriptor says. */
  payloadBytes: number;
  /** False when the payload would reach past the descriptors' part of the page. */
  fits: boolean;
}

/** Writes a descriptor's type and length; answers where its payload begins. */
export function writeDescriptorHeader(view: DataView, at: number, type: number, payloadBytes: number): number {
  view.setUint8(at, type);
  view.setUint32(at + 1, payloadBytes, true);
  return at + DESCRIPTOR_HEADER_BYTES;
}

/**
 * The descriptors of a page, in order. A padding of length 0 ends the page, and so does too little room for another header.
 * Padding that has a length is passed over.
 */
export function* descriptorsOf(view: DataView): Generator<Descriptor, void, undefined> {
  const end = DESCRIPTORS_AT + DESCRIPTORS_BYTES;
  let at = DESCRIPTORS_AT;
  while (at + DESCRIPTOR_HEADER_BYTES <= end) {
    const type = view.getUint8(at);
    const payloadBytes = view.getUint32(at + 1, true);
    if (type === DESCRIPTOR.PADDING && payloadBytes === 0) return;
    const payloadAt = at + DESCRIPTOR_HEADER_BYTES;
    at = payloadAt + payloadBytes;
    if (type !== DESCRIPTOR.PADDING) yield { type, payloadAt, payloadBytes, fits: at <= end };
  }
}
