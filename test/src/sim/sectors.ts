/**
 * What sectors hold, as numbers. A token is a write; its sectors say which write it was and which sector of its blob, so that
 * what is another blob's, or lies in the wrong place, is seen at once.
 */

import { SECTOR_BYTES } from './tearing.js';

/** A sector that was zeroed. */
export const ZERO = 0;
/** A sector that nobody has written: zeroes, unless what clusters held before is not cleared. */
export const FRESH = -1;
/** Neither zeroes nor any write's. */
export const GARBAGE = -2;

const WORDS = SECTOR_BYTES / 4;
const LAST = WORDS - 1;
const MIDDLE = WORDS / 2;

/** Writes a token's sectors, of which the first is sector `first` of its blob. */
export function putSectors(bytes: Uint8Array, token: number, first: number): void {
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  for (let at = 0, sector = first; at < words.length; at += WORDS, sector++) {
    words[at] = token;
    words[at + 1] = sector;
    words[at + MIDDLE] = stampOf(token, sector);
    words[at + LAST] = ~token;
  }
}

/** The token in a sector; `sector` is where it must have been written. */
export function tokenAt(words: Int32Array, at: number, sector: number): number {
  const token = words[at];
  if (token === 0) return words[at + 1] === 0 && words[at + MIDDLE] === 0 && words[at + LAST] === 0 ? ZERO : GARBAGE;
  const isWhole = words[at + LAST] === ~token && words[at + MIDDLE] === stampOf(token, words[at + 1]);
  return isWhole && words[at + 1] === sector && token > 0 ? token : GARBAGE;
}

/** Words of a sector. */
export const SECTOR_WORDS = WORDS;

function stampOf(token: number, sector: number): number {
  return (Math.imul(token, 0x9e37_79b1) ^ Math.imul(sector + 1, 0x85eb_ca6b)) | 0;
}
