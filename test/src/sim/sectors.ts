/**
 * The contents of sectors as numbers. A token stands for a write. Each sector contains the token and its own number in
 * the blob, so that a sector of another blob, or at the wrong place, is found at once.
 */

import { SECTOR_BYTES } from './tearing.js';

/** A sector that was zeroed. */
export const ZERO = 0;
/** A sector that was never written: it has zeroes, or old data of its cluster if freed clusters are not cleared. */
export const FRESH = -1;
/** A sector that has neither zeroes nor the contents of a write. */
export const GARBAGE = -2;

const WORDS = SECTOR_BYTES / 4;
const LAST = WORDS - 1;
const MIDDLE = WORDS / 2;

/** Fills bytes with the sectors of a token. The first one is sector `first` of the blob. */
export function putSectors(bytes: Uint8Array, token: number, first: number): void {
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  for (let at = 0, sector = first; at < words.length; at += WORDS, sector++) {
    words[at] = token;
    words[at + 1] = sector;
    words[at + MIDDLE] = stampOf(token, sector);
    words[at + LAST] = ~token;
  }
}

/** The token of the sector at word `at`, which is sector `sector` of its blob. */
export function tokenAt(words: Int32Array, at: number, sector: number): number {
  const token = words[at];
  if (token === 0) return words[at + 1] === 0 && words[at + MIDDLE] === 0 && words[at + LAST] === 0 ? ZERO : GARBAGE;
  const isWhole = words[at + LAST] === ~token && words[at + MIDDLE] === stampOf(token, words[at + 1]);
  return isWhole && words[at + 1] === sector && token > 0 ? token : GARBAGE;
}

/** The number of 32-bit words of a sector. */
export const SECTOR_WORDS = WORDS;

function stampOf(token: number, sector: number): number {
  return (Math.imul(token, 0x9e37_79b1) ^ Math.imul(sector + 1, 0x85eb_ca6b)) | 0;
}
