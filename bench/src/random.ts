/** Random inputs that are the same in every run. */

import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

const SEED = 0x5eed_b10b;

/** `count` random integers from 0 to `limit` - 1. */
export function randomIndices(count: number, limit: number): Int32Array {
  const random = xoroshiro128plus(SEED);
  return Int32Array.from({ length: count }, () => uniformInt(random, 0, limit - 1));
}

/**
 * Fills bytes with random words of 32 bits. They must begin on a multiple of 4 in their buffer; up to 3 bytes at the
 * end that are no whole word are left unchanged.
 */
export function fillRandomly(bytes: Uint8Array, seed = SEED): void {
  const random = xoroshiro128plus(seed);
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2);
  for (let at = 0; at < words.length; at++) words[at] = random.next();
}

/** Folds a value into a checksum of 32 bits. The algorithm is FNV-1a, with words of 32 bits instead of bytes. */
export function fold(checksum: number, value: number): number {
  return Math.imul(checksum ^ (value | 0), 0x0100_0193);
}

/** The initial value of a checksum: the offset basis of FNV-1a. */
export const CHECKSUM_START = 0x811c_9dc5 | 0;
