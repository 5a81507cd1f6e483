/** Random inputs that are the same in every run. */

const SEED = 0x5eed_b10b;

/** Marsaglia's xorshift with 32 bits: as good as needed for offsets, and nearly free. */
export class Xorshift {
  #state: number;

  constructor(seed = SEED) {
    this.#state = seed | 0 || 1;
  }

  /** The next number, from -2^31 to 2^31 - 1. */
  next(): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    return state;
  }

  /** The next number from 0 to `limit` - 1. */
  below(limit: number): number {
    return (this.next() >>> 0) % limit;
  }
}

/** `count` numbers from 0 to `limit` - 1. */
export function randomIndices(count: number, limit: number): Int32Array {
  const random = new Xorshift();
  return Int32Array.from({ length: count }, () => random.below(limit));
}

/** Fills bytes, which begin on a multiple of 4, with words that are all different from those around them. */
export function fillRandomly(bytes: Uint8Array, seed?: number): void {
  const random = new Xorshift(seed);
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2);
  for (let at = 0; at < words.length; at++) words[at] = random.next();
}

/** Folds a value into a checksum of 32 bits (FNV-1a, a word at a time). */
export function fold(checksum: number, value: number): number {
  return Math.imul(checksum ^ (value | 0), 0x0100_0193);
}

/** Where a checksum begins. */
export const CHECKSUM_START = 0x811c_9dc5 | 0;
