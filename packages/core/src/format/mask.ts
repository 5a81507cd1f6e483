/** The masks that a clean unload writes: type (u8), length in bits (u32), then the bits. */

import { divideRoundUp, PAGE_BYTES } from '../units/units.js';

/**
 * Mask types. While a store is in use, `MARKS` takes the place of the used clusters; see `state/high-water.ts`. Older
 * versions of this engine wrote `HIGH_WATER` there: the mark of clusters only, as a mask with all bits below it set.
 */
export const MASK = { USED_PAGES: 0, USED_CLUSTERS: 1, USED_BLOB_IDS: 2, HIGH_WATER: 3, MARKS: 4 } as const;
export type MaskType = (typeof MASK)[keyof typeof MASK];

const HEADER_BYTES = 5;

/** How many pages a mask of `bitCount` bits needs. */
export function maskPages(bitCount: number): number {
  return divideRoundUp(HEADER_BYTES + divideRoundUp(bitCount, 8), PAGE_BYTES);
}

/** How many bits fit into a mask of `pageCount` pages. */
export function maskBitsMax(pageCount: number): number {
  return (pageCount * PAGE_BYTES - HEADER_BYTES) * 8;
}

/** Returns a mask of `pageCount` pages. `store` writes the bits into the bytes that it is given. */
export function encodeMask(
  type: MaskType,
  bitCount: number,
  pageCount: number,
  store: (target: Uint8Array) => void,
): Uint8Array {
  const bytes = new Uint8Array(pageCount * PAGE_BYTES);
  setMaskLength(bytes, bitCount);
  bytes[0] = type;
  store(bytes.subarray(HEADER_BYTES));
  return bytes;
}

/** The type, length and bits of a mask, as its header says; not checked. */
export function decodeMask(bytes: Uint8Array): { type: number; bitCount: number; bits: Uint8Array } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { type: bytes[0], bitCount: view.getUint32(1, true), bits: bytes.subarray(HEADER_BYTES) };
}

/** Changes the length in a mask's header. */
export function setMaskLength(bytes: Uint8Array, bitCount: number): void {
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).setUint32(1, bitCount, true);
}
