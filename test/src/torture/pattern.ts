/**
 * The bytes of a write. They depend only on its token and the position in the blob, so that both processes know them.
 */

import { crc32c } from '@blobyard/core';
import { mix } from '../hash.js';

/**
 * Fills `length` bytes of `target` from `at` on with the bytes of write `token` from byte `position` of its blob on.
 */
export function putPattern(target: Uint8Array, at: number, length: number, token: number, position: number): void {
  let word = wordOf(token, position);
  for (let index = 0; index < length; index++) {
    const byte = position + index;
    if ((byte & 3) === 0) word = wordOf(token, byte);
    target[at + index] = word >>> ((byte & 3) * 8);
  }
}

/** The byte of write `token` at byte `position` of its blob. */
export function patternAt(token: number, position: number): number {
  return (wordOf(token, position) >>> ((position & 3) * 8)) & 0xff;
}

/** The checksum of a blob's data. */
export function checksum(bytes: Uint8Array): number {
  return crc32c(bytes, 0, bytes.length);
}

function wordOf(token: number, position: number): number {
  return mix(token ^ Math.imul((position >>> 2) + 1, 0x9e37_79b1));
}
