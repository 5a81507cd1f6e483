/** Lists of buffers that are one run of bytes: what is left of them after a part, and copies to and from one buffer. */

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

/** Fills the first `lengthBytes` bytes of `target` from the list, of which `skipBytes` are passed over. */
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

/** Copies the first `lengthBytes` bytes of `source` into the list, of which `skipBytes` are passed over. */
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

/** The bytes of a range of the list, buffer by buffer; `done` counts those already visited. */
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
