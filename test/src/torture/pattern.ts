/** The bytes that a write leaves: its token and the place in the blob give each of them, so that both processes know them. */

import { crc32c } from '@blobyard/core';
import { mix } from '../hash.js';

/** Fills `length` bytes of `target` from `at` on with what the write `token` has at byte `position` of its blob. */
export function putPattern(target: Uint8Array, at: number, length: number, token: number, position: number): void {
  let word = wordOf(token, position);
  for (let index = 0; index < length; index++) {
    const byte = position + index;
    if ((byte & 3) === 0) word = wordOf(token, byte);
    target[at + index] = word >>> ((byte & 3) * 8);
  }
}

/** One byte of it. */
export function patternAt(token: number, position: number): number {
  return (wordOf(token, position) >>> ((position & 3) * 8)) & 0xff;
}

/** Of all that a blob reads as. */
export function checksum(bytes: Uint8Array): number {
  return crc32c(bytes, 0, bytes.length);
}

function wordOf(token: number, position: number): number {
  return mix(token ^ Math.imul((position >>> 2) + 1, 0x9e37_79b1));
}
