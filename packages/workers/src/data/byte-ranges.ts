/** Checks byte ranges, and allocates arrays for them. */

import { BlobstoreError } from '@blobyard/core';
import type { NewBytes } from '../api/blob.js';
import { checkInteger } from '../checks/checks.js';

/** Throws EINVAL unless the range lies in a blob of `sizeBytes` bytes. An empty range may lie at its end. */
export function checkRange(doing: string, offset: number, length: number, sizeBytes: number): void {
  checkInteger('the offset in bytes', offset, 0, Number.MAX_SAFE_INTEGER);
  checkInteger('the length in bytes', length, 0, Number.MAX_SAFE_INTEGER);
  if (offset + length <= sizeBytes) return;
  const asked = `${doing} ${length} bytes from ${offset} on`;
  throw new BlobstoreError('EINVAL', `cannot ${asked}: the blob has ${sizeBytes} bytes; resize it, or ask for less`);
}

/** Returns a new array. Throws ENOMEM if it cannot be allocated. */
export function newArray(length: number): NewBytes {
  try {
    return new Uint8Array(length);
  } catch (cause) {
    const advice = 'read in parts, or with a stream';
    throw new BlobstoreError('ENOMEM', `cannot allocate an array of ${length} bytes: ${advice}`, { cause });
  }
}

/** Returns the sum of the lengths of arrays, in bytes. */
export function totalBytes(list: readonly Uint8Array[]): number {
  let total = 0;
  for (const each of list) total += each.length;
  return total;
}
