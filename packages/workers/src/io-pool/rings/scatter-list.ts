/**
 * Lists of buffers: gathering into one buffer, scattering from it, cutting into pieces, and tables of them for workers.
 */

import { SEGMENT, SEGMENT_F64 } from './ring-layout.js';

export function listBytes(buffers: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const buffer of buffers) bytes += buffer.length;
  return bytes;
}

/** Copies all the buffers, one after another, to byte `at` of a target. */
export function gather(buffers: readonly Uint8Array[], target: Uint8Array, at: number): void {
  let place = at;
  for (const buffer of buffers) {
    target.set(buffer, place);
    place += buffer.length;
  }
}

/** Fills all the buffers, one after another, from byte `at` of a source on. */
export function scatter(source: Uint8Array, at: number, buffers: readonly Uint8Array[]): void {
  let place = at;
  for (const buffer of buffers) {
    buffer.set(source.subarray(place, place + buffer.length));
    place += buffer.length;
  }
}

/** Cuts a list of buffers into pieces, from its beginning. */
export class ListCutter {
  readonly #buffers: readonly Uint8Array[];
  #index = 0;
  #offset = 0;

  constructor(buffers: readonly Uint8Array[]) {
    this.#buffers = buffers;
  }

  /** Returns the next `bytes` bytes, which must be there, as views of the buffers. */
  take(bytes: number): Uint8Array[] {
    const taken: Uint8Array[] = [];
    for (let left = bytes; left > 0; ) {
      const buffer = this.#buffers[this.#index];
      const length = Math.min(left, buffer.length - this.#offset);
      if (length > 0) taken.push(new Uint8Array(buffer.buffer, buffer.byteOffset + this.#offset, length));
      left -= length;
      this.#offset += length;
      if (this.#offset === buffer.length) {
        this.#index++;
        this.#offset = 0;
      }
    }
    return taken;
  }
}

/** Writes a table of the buffers to a pool. @param at - byte offset in the pool, a multiple of 8 */
export function writeTable(
  buffers: readonly Uint8Array[],
  pool: ArrayBufferLike,
  at: number,
  idOf: (memory: ArrayBufferLike) => number,
): void {
  const table = new Int32Array(pool, at, buffers.length * SEGMENT.WORDS);
  const offsets = new Float64Array(pool, at, buffers.length * SEGMENT_F64.LENGTH);
  buffers.forEach((buffer, segment) => {
    table[segment * SEGMENT.WORDS + SEGMENT.MEMORY] = idOf(buffer.buffer);
    table[segment * SEGMENT.WORDS + SEGMENT.BYTE_LENGTH] = buffer.length;
    offsets[segment * SEGMENT_F64.LENGTH + SEGMENT_F64.BYTE_OFFSET] = buffer.byteOffset;
  });
}

/** Returns the buffers of a table, as views on this thread. */
export function readTable(
  pool: ArrayBufferLike,
  at: number,
  segments: number,
  viewOf: (id: number, end: number) => Uint8Array,
): Uint8Array[] {
  const table = new Int32Array(pool, at, segments * SEGMENT.WORDS);
  const offsets = new Float64Array(pool, at, segments * SEGMENT_F64.LENGTH);
  return Array.from({ length: segments }, (_, segment) => {
    const length = table[segment * SEGMENT.WORDS + SEGMENT.BYTE_LENGTH] >>> 0;
    const offset = offsets[segment * SEGMENT_F64.LENGTH + SEGMENT_F64.BYTE_OFFSET];
    const memory = viewOf(table[segment * SEGMENT.WORDS + SEGMENT.MEMORY], offset + length);
    return new Uint8Array(memory.buffer, offset, length);
  });
}
