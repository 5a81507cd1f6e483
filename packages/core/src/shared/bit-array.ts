/**
 * A bit array over 32-bit words, with the semantics of SPDK's: a search that finds nothing returns `NONE_U32`, and a
 * bit past the end reads as false.
 */

import { assert, InvariantError } from '../units/error.js';
import { NONE_U32 } from '../units/units.js';

/** How many words `bitCount` bits need. */
export function wordsForBits(bitCount: number): number {
  return Math.ceil(bitCount / 32);
}

/** Index of the lowest set bit of a word that is not 0. */
function lowestSetBit(word: number): number {
  return 31 - Math.clz32(word & -word);
}

/**
 * A bit array over words that it is given. Setting or clearing a bit past the end throws an `InvariantError`. Not
 * synchronized.
 */
export class BitArray {
  #words: Uint32Array;
  #capacity: number;

  /** @param words - at least as many as `capacity` bits need; bits past the capacity must be clear, and stay so */
  constructor(words: Uint32Array, capacity: number) {
    assert(words.length >= wordsForBits(capacity), 'too few words for a bit array');
    this.#words = words;
    this.#capacity = capacity;
  }

  /** A bit array in new, unshared memory, all bits clear. */
  static private(capacity: number): BitArray {
    return new BitArray(new Uint32Array(wordsForBits(capacity)), capacity);
  }

  get capacity(): number {
    return this.#capacity;
  }

  get(index: number): boolean {
    return index < this.#capacity && ((this.#words[index >>> 5] >>> (index & 31)) & 1) === 1;
  }

  set(index: number): void {
    if (index >= this.#capacity) throw new InvariantError(`bit ${index} is past the end`);
    this.#words[index >>> 5] |= 1 << (index & 31);
  }

  clear(index: number): void {
    if (index >= this.#capacity) throw new InvariantError(`bit ${index} is past the end`);
    this.#words[index >>> 5] &= ~(1 << (index & 31));
  }

  /** The lowest clear bit from `from` on, or `NONE_U32`. */
  findFirstClear(from: number): number {
    return this.#find(from, 0xffff_ffff);
  }

  /** The lowest set bit from `from` on, or `NONE_U32`. */
  findFirstSet(from: number): number {
    return this.#find(from, 0);
  }

  #find(from: number, invert: number): number {
    if (from >= this.#capacity) return NONE_U32;
    const end = wordsForBits(this.#capacity);
    let at = from >>> 5;
    let word = (this.#words[at] ^ invert) & (-1 << (from & 31));
    while (word === 0 && ++at < end) word = this.#words[at] ^ invert;
    if (at >= end) return NONE_U32;
    const index = at * 32 + lowestSetBit(word);
    return index < this.#capacity ? index : NONE_U32;
  }

  /** Sets all bits that are set in `other`, up to the smaller of the two capacities. */
  add(other: BitArray): void {
    const bitCount = Math.min(this.#capacity, other.#capacity);
    const whole = bitCount >>> 5;
    for (let at = 0; at < whole; at++) this.#words[at] |= other.#words[at];
    const tailBits = bitCount & 31;
    if (tailBits !== 0) this.#words[whole] |= other.#words[whole] & ~(-1 << tailBits);
  }

  /** True when every bit that is set in `other` is set here, up to the smaller of the two capacities. */
  includes(other: BitArray): boolean {
    const bitCount = Math.min(this.#capacity, other.#capacity);
    const whole = bitCount >>> 5;
    for (let at = 0; at < whole; at++) if ((other.#words[at] & ~this.#words[at]) !== 0) return false;
    const tailBits = bitCount & 31;
    return tailBits === 0 || (other.#words[whole] & ~this.#words[whole] & ~(-1 << tailBits)) === 0;
  }

  /** Sets all bits below `end`. */
  setBelow(end: number): void {
    if (end > this.#capacity) throw new InvariantError(`bit ${end - 1} is past the end`);
    this.#words.fill(0xffff_ffff, 0, end >>> 5);
    if ((end & 31) !== 0) this.#words[end >>> 5] |= ~(-1 << (end & 31));
  }

  /** The index of the highest set bit plus 1; 0 when none is set. */
  lengthUsed(): number {
    for (let at = wordsForBits(this.#capacity) - 1; at >= 0; at--) {
      if (this.#words[at] !== 0) return at * 32 + 32 - Math.clz32(this.#words[at]);
    }
    return 0;
  }

  countSet(): number {
    let count = 0;
    for (let at = 0; at < wordsForBits(this.#capacity); at++) {
      let word = this.#words[at];
      word -= (word >>> 1) & 0x5555_5555;
      word = (word & 0x3333_3333) + ((word >>> 2) & 0x3333_3333);
      count += Math.imul((word + (word >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
    }
    return count;
  }

  /** Replaces the words by others that hold the same bits, and maybe more, and sets the capacity. */
  rebase(words: Uint32Array, capacity: number): void {
    assert(words.length >= wordsForBits(capacity), 'too few words for a bit array');
    this.#words = words;
    this.#capacity = capacity;
  }

  /** Writes the bits as a mask: bit i is bit i%8 of byte i/8. */
  storeMask(target: Uint8Array): void {
    const byteCount = Math.ceil(this.#capacity / 8);
    for (let at = 0; at < byteCount; at++) target[at] = this.#words[at >>> 2] >>> ((at & 3) * 8);
  }

  /** Reads the bits from a mask. Ignores bits past the capacity. */
  loadMask(source: Uint8Array): void {
    const byteCount = Math.ceil(this.#capacity / 8);
    this.#words.fill(0, 0, wordsForBits(this.#capacity));
    for (let at = 0; at < byteCount; at++) this.#words[at >>> 2] |= source[at] << ((at & 3) * 8);
    const tailBits = this.#capacity & 31;
    if (tailBits !== 0) this.#words[this.#capacity >>> 5] &= ~(-1 << tailBits);
  }
}
