/**
 * Byte ranges in io units. A range that does not begin and end at a boundary of io units has edges: io units that it
 * covers only partly. A transfer of such a range uses arrays of one io unit each for its edges, and the caller's arrays
 * for the rest:
 *
 *     units     |    head   |           |           |    tail   |
 *     range           ^=======================================^
 *     moved     [ edge array ][  the caller's own arrays   ][ edge array ]
 */

import { bufferGone } from '@blobyard/core';
import { totalBytes } from './byte-ranges.js';
import type { EdgeArrays } from './edge-arrays.js';

/** A range of bytes, and the io units that it touches. */
export interface ByteSpan {
  readonly offset: number;
  readonly length: number;
  /** The first io unit touched. */
  readonly first: number;
  /** The io unit after the last one touched. */
  readonly end: number;
  /**
   * The first io unit, if the range covers only a part of it; otherwise -1. If it is also the last one, it is only
   * `head`.
   */
  readonly head: number;
  /** The last io unit, if the range covers only a part of it and it is not `head`; otherwise -1. */
  readonly tail: number;
}

/** Returns the span of a byte range. `length` is from 1. */
export function byteSpan(offset: number, length: number, unitBytes: number): ByteSpan {
  const first = Math.floor(offset / unitBytes);
  const end = Math.ceil((offset + length) / unitBytes);
  const beginsWithin = offset % unitBytes !== 0;
  const endsWithin = (offset + length) % unitBytes !== 0;
  const head = beginsWithin || (endsWithin && end === first + 1) ? first : -1;
  const tail = endsWithin && end - 1 !== head ? end - 1 : -1;
  return { offset, length, first, end, head, tail };
}

/** A transfer of a range with edges: it replaces the caller's bytes in the edges by edge arrays. */
export class EdgedTransfer {
  /** The arrays that are transferred. Together they are whole io units. */
  readonly moved: Uint8Array[];
  readonly head: Uint8Array | undefined;
  readonly tail: Uint8Array | undefined;
  readonly #edges: EdgeArrays;
  readonly #span: ByteSpan;
  readonly #caller: readonly Uint8Array[];
  readonly #headAt: number;
  readonly #headBytes: number;
  readonly #tailBytes: number;

  /** @param caller - the caller's arrays; the sum of their lengths is that of the span */
  constructor(span: ByteSpan, caller: readonly Uint8Array[], edges: EdgeArrays) {
    const { unitBytes } = edges;
    const { offset, length } = span;
    this.#span = span;
    this.#caller = caller;
    this.#headAt = offset % unitBytes;
    this.#headBytes = span.head < 0 ? 0 : Math.min(length, unitBytes - this.#headAt);
    this.#tailBytes = span.tail < 0 ? 0 : (offset + length) % unitBytes;
    this.#edges = edges;
    this.head = span.head < 0 ? undefined : edges.take();
    this.tail = span.tail < 0 ? undefined : edges.take();
    const middle = sliceList(caller, this.#headBytes, length - this.#tailBytes);
    this.moved = [...(this.head ? [this.head] : []), ...middle, ...(this.tail ? [this.tail] : [])];
  }

  /** Releases the edge arrays. Not to be called after an error, because another request may still use one of them. */
  release(): void {
    if (this.head) this.#edges.give(this.head);
    if (this.tail) this.#edges.give(this.tail);
  }

  /** Copies the caller's bytes into the edge arrays. These already have the bytes around them, read from the blob. */
  fillEdges(): void {
    this.#eachEdgePart((edge, part) => edge.set(part));
  }

  /** Copies the bytes that were read into the edge arrays to the caller's arrays. */
  emptyEdges(): void {
    this.#eachEdgePart((edge, part) => part.set(edge));
  }

  /** Calls `show` for each part of the caller's arrays in an edge, with the corresponding part of the edge array. */
  #eachEdgePart(show: (edge: Uint8Array, part: Uint8Array) => void): void {
    const { length } = this.#span;
    if (totalBytes(this.#caller) !== length) throw bufferGone();
    if (this.head) this.#eachPart(this.head, this.#headAt, 0, this.#headBytes, show);
    if (this.tail) this.#eachPart(this.tail, 0, length - this.#tailBytes, length, show);
  }

  /** Calls `show` for the caller's bytes `from` to `to`, which are in the edge array from byte `at` on. */
  #eachPart(
    edge: Uint8Array,
    at: number,
    from: number,
    to: number,
    show: (edge: Uint8Array, part: Uint8Array) => void,
  ): void {
    let next = at;
    for (const part of sliceList(this.#caller, from, to)) {
      show(edge.subarray(next, next + part.length), part);
      next += part.length;
    }
  }
}

/** Returns bytes `from` to `to` of the concatenated arrays, as views. `to` is exclusive. */
function sliceList(list: readonly Uint8Array[], from: number, to: number): Uint8Array[] {
  const slices: Uint8Array[] = [];
  let at = 0;
  for (const each of list) {
    const start = Math.max(from - at, 0);
    const end = Math.min(to - at, each.length);
    if (start < end) slices.push(each.subarray(start, end));
    at += each.length;
  }
  return slices;
}
