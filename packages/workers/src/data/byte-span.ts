/**
 * Byte ranges in io units. A range that does not begin and end at io units has edges: io units of which it covers only a
 * part. A transfer of such a range moves its edges through small arrays of whole units, and the rest in place:
 *
 *     units     |    head   |           |           |    tail   |
 *     range           ^=======================================^
 *     moved     [ edge array ][  the caller's own arrays   ][ edge array ]
 */

import { bufferGone } from '@blobyard/core';
import { totalBytes } from './byte-ranges.js';
import type { EdgeArrays } from './edge-arrays.js';

/** A range of bytes and the io units that it touches. */
export interface ByteSpan {
  readonly offset: number;
  readonly length: number;
  /** The first io unit touched. */
  readonly first: number;
  /** The io unit after the last one touched. */
  readonly end: number;
  /** The io unit at the beginning of which the range covers only a part; -1 if there is none. */
  readonly head: number;
  /** The other such io unit at its end; -1 if there is none, or it is `head`. */
  readonly tail: number;
}

/** @param length - from 1 */
export function byteSpan(offset: number, length: number, unitBytes: number): ByteSpan {
  const first = Math.floor(offset / unitBytes);
  const end = Math.ceil((offset + length) / unitBytes);
  const beginsWithin = offset % unitBytes !== 0;
  const endsWithin = (offset + length) % unitBytes !== 0;
  const head = beginsWithin || (endsWithin && end === first + 1) ? first : -1;
  const tail = endsWithin && end - 1 !== head ? end - 1 : -1;
  return { offset, length, first, end, head, tail };
}

/** The arrays that a transfer of a range with edges moves in the place of its caller's. */
export class EdgedTransfer {
  /** Whole io units, one array after another. */
  readonly moved: Uint8Array[];
  readonly head: Uint8Array | undefined;
  readonly tail: Uint8Array | undefined;
  readonly #edges: EdgeArrays;
  readonly #span: ByteSpan;
  readonly #caller: readonly Uint8Array[];
  readonly #headAt: number;
  readonly #headBytes: number;
  readonly #tailBytes: number;

  /** @param caller - the caller's arrays; as long as the span together */
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

  /** Gives the edge arrays back. Not after an error: another request may still be using one of them. */
  release(): void {
    if (this.head) this.#edges.give(this.head);
    if (this.tail) this.#edges.give(this.tail);
  }

  /** Puts the caller's bytes into the edge arrays, which hold what is around them already. */
  fillEdges(): void {
    this.#eachEdgePart((edge, part) => edge.set(part));
  }

  /** Gives the caller the bytes that came into the edge arrays. */
  emptyEdges(): void {
    this.#eachEdgePart((edge, part) => part.set(edge));
  }

  /** Shows each part of the caller's arrays that lies in an edge, with the part of the edge array that it belongs to. */
  #eachEdgePart(show: (edge: Uint8Array, part: Uint8Array) => void): void {
    const { length } = this.#span;
    if (totalBytes(this.#caller) !== length) throw bufferGone();
    const parts = [
      { edge: this.head, at: this.#headAt, from: 0, to: this.#headBytes },
      { edge: this.tail, at: 0, from: length - this.#tailBytes, to: length },
    ];
    for (const { edge, at, from, to } of parts) {
      if (edge === undefined) continue;
      let next = at;
      for (const part of sliceList(this.#caller, from, to)) {
        show(edge.subarray(next, next + part.length), part);
        next += part.length;
      }
    }
  }
}

/** Bytes `from` to `to` of the arrays taken as one, as views. */
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
