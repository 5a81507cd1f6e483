/**
 * Which bytes the transfers of a benchmark move, the same for everyone who takes part. Each transfer's first and last word say
 * where it belongs. All reads check both, and writes put them there again: whoever comes in which order, what is read is
 * known, and the sum over all transfers of a call does not depend on who did which.
 */

import { randomIndices } from '../random.js';

/** The unit of offsets, and the smallest transfer. */
export const BLOCK_BYTES = 4096;
const WORD_BYTES = 4;
/** Of ten transfers of a mix, so many are reads. */
const READS_OF_TEN = 7;

export type Mix = 'read' | 'write' | 'mixed';

/** Goes to other threads. */
export interface TransferWork {
  readonly mix: Mix;
  readonly transferBytes: number;
  /** Bytes that the transfers are spread over. Transfers in it: a power of two. */
  readonly regionBytes: number;
  /** Random offsets, or one after the other. */
  readonly isRandom: boolean;
}

export class TransferPlan {
  readonly transferBytes: number;
  readonly #mix: Mix;
  readonly #places: Int32Array;

  constructor({ mix, transferBytes, regionBytes, isRandom }: TransferWork) {
    this.transferBytes = transferBytes;
    this.#mix = mix;
    const count = regionBytes / transferBytes;
    this.#places = isRandom ? randomIndices(count, count) : Int32Array.from({ length: count }, (_, index) => index);
  }

  /** Where the transfer of an operation begins, in bytes of the blob. */
  offsetOf(operation: number): number {
    return this.#places[operation & (this.#places.length - 1)] * this.transferBytes;
  }

  isWrite(operation: number): boolean {
    return this.#mix !== 'read' && (this.#mix === 'write' || operation % 10 >= READS_OF_TEN);
  }

  /** Makes a buffer what is to be written at `offset`. */
  stamp(words: Int32Array, offset: number): void {
    const last = this.transferBytes / WORD_BYTES - 1;
    words[0] = stampOf(offset);
    words[last] = stampOf(offset + this.transferBytes - BLOCK_BYTES);
  }

  /** Throws unless a buffer holds what belongs to `offset`; answers a part of the sum. */
  check(words: Int32Array, offset: number): number {
    const last = this.transferBytes / WORD_BYTES - 1;
    if (words[0] !== stampOf(offset) || words[last] !== stampOf(offset + this.transferBytes - BLOCK_BYTES)) {
      throw new Error(`what was moved at byte ${offset} is not what belongs there`);
    }
    return words[0];
  }
}

/** What the block at a byte begins and ends with. */
function stampOf(offset: number): number {
  return Math.imul(offset / BLOCK_BYTES + 1, 0x9e37_79b1);
}

/** Makes bytes what belongs to `offset` and after: a stamp at either end of each block. */
export function stampBlocks(bytes: Uint8Array, offset: number): void {
  const words = wordsOf(bytes);
  const each = BLOCK_BYTES / WORD_BYTES;
  for (let at = 0; at < words.length; at += each) {
    const stamp = stampOf(offset + at * WORD_BYTES);
    words[at] = stamp;
    words[at + each - 1] = stamp;
  }
}

export function wordsOf(bytes: Uint8Array): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / WORD_BYTES);
}
