/**
 * Scatter lists, that is lists of buffers that form one run of bytes: skipping bytes, copying to and from one buffer.
 */

import { copyBytes } from './copy-bytes.js';

/** The list without its first `skipBytes` bytes. */
export function afterBytes(buffers: readonly Uint8Array[], skipBytes: number): Uint8Array[] {
  const rest: Uint8Array[] = [];
  let skip = skipBytes;
  for (const buffer of buffers) {
    if (skip < buffer.byteLength) rest.push(skip === 0 ? buffer : buffer.subarray(skip));
    skip = Math.max(skip - buffer.byteLength, 0);
  }
  return rest;
}

/** Copies `lengthBytes` bytes of the list, after its first `skipBytes`, to the start of `target`. */
export function gather(
  buffers: readonly Uint8Array[],
  skipBytes: number,
  target: Uint8Array,
  lengthBytes: number,
): void {
  forEachPart(buffers, skipBytes, lengthBytes, (buffer, offset, length, done) => {
    copyBytes(buffer, offset, target, done, length);
  });
}

/** Copies the first `lengthBytes` bytes of `source` into the list, after its first `skipBytes`. */
export function scatter(
  source: Uint8Array,
  lengthBytes: number,
  buffers: readonly Uint8Array[],
  skipBytes: number,
): void {
  forEachPart(buffers, skipBytes, lengthBytes, (buffer, offset, length, done) => {
    copyBytes(source, done, buffer, offset, length);
  });
}

/** Visits the bytes of a range of the list, buffer by buffer; `done` is the number of bytes already visited. */
function forEachPart(
  buffers: readonly Uint8Array[],
  skipBytes: number,
  lengthBytes: number,
  visit: (buffer: Uint8Array, offset: number, length: number, done: number) => void,
): void {
  let skip = skipBytes;
  let done = 0;
  for (const buffer of buffers) {
    const length = Math.min(buffer.byteLength - skip, lengthBytes - done);
    if (length > 0) {
      visit(buffer, skip, length, done);
      done += length;
      skip = 0;
    } else {
      skip -= Math.min(skip, buffer.byteLength);
    }
  }
}
