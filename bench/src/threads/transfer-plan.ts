/**
 * The offsets and contents of a benchmark's transfers, the same in all threads. The first and the last word of each
 * block are a stamp that depends on the block's offset. Reads check the stamps at both ends of a transfer; writes write
 * the same stamps again. So contents and checksum of a call do not depend on which thread executes which transfer, or
 * in which order.
 */

import { randomIndices } from '../random.js';

/** The unit of offsets, and the smallest transfer, in bytes. */
export const BLOCK_BYTES = 4096;
const WORD_BYTES = 4;
/** The number of reads in ten transfers of `mixed`. */
const READS_OF_TEN = 7;

export type Mix = 'read' | 'write' | 'mixed';

/** Posted to other threads. */
export interface TransferWork {
  readonly mix: Mix;
  readonly transferBytes: number;
  /** Bytes that the transfers are spread over: `transferBytes` times a power of two. */
  readonly regionBytes: number;
  /** Random or sequential offsets. */
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

  /** The offset of an operation's transfer, in bytes of the blob. */
  offsetOf(operation: number): number {
    return this.#places[operation & (this.#places.length - 1)] * this.transferBytes;
  }

  isWrite(operation: number): boolean {
    return this.#mix !== 'read' && (this.#mix === 'write' || operation % 10 >= READS_OF_TEN);
  }

  /** Fills in the stamps of a buffer that is to be written at `offset`. */
  stamp(words: Int32Array, offset: number): void {
    const last = this.transferBytes / WORD_BYTES - 1;
    words[0] = stampOf(offset);
    words[last] = stampOf(offset + this.transferBytes - BLOCK_BYTES);
  }

  /** Throws unless a buffer has the stamps of `offset`. Returns its part of the checksum. */
  check(words: Int32Array, offset: number): number {
    const last = this.transferBytes / WORD_BYTES - 1;
    if (words[0] !== stampOf(offset) || words[last] !== stampOf(offset + this.transferBytes - BLOCK_BYTES)) {
      throw new Error(`the transfer at byte ${offset} of the blob has other contents than were written there`);
    }
    return words[0];
  }
}

/** The stamp of the block at a byte offset. */
function stampOf(offset: number): number {
  return Math.imul(offset / BLOCK_BYTES + 1, 0x9e37_79b1);
}

/** Stamps both ends of each block in `bytes`, which are those of the blob from byte `offset` on. */
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
