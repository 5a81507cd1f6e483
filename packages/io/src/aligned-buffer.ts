/**
 * Page-aligned buffers, which direct I/O needs. JavaScript does not show the address of a buffer. Node maps a growable
 * SharedArrayBuffer by whole pages, so it always begins at a page; for any other kind of buffer the alignment cannot be
 * known.
 */

import { types } from 'node:util';
import { BlobstoreError } from '@blobyard/core';
import { checkInteger } from '@blobyard/core/internal/argument-checks';

/** In direct I/O, addresses, positions and lengths must be multiples of this many bytes. */
export const DIRECT_ALIGNMENT_BYTES = 512;

/**
 * Allocates a page-aligned buffer of `lengthBytes` zeroes, for direct I/O. It is shared memory, and can be posted to
 * other threads. Any thread. Throws EINVAL for a negative or fractional length, ENOMEM when it cannot be allocated.
 */
export function allocateAligned(lengthBytes: number): Uint8Array {
  checkInteger('the length of a buffer', lengthBytes, 0, Number.MAX_SAFE_INTEGER);
  try {
    // Without an explicit length the view would track the length of the buffer, which makes every access slow.
    return new Uint8Array(new SharedArrayBuffer(lengthBytes, { maxByteLength: lengthBytes }), 0, lengthBytes);
  } catch (cause) {
    throw new BlobstoreError('ENOMEM', `cannot allocate ${lengthBytes} bytes of shared memory: ask for less`, {
      cause,
    });
  }
}

/**
 * True when direct I/O can use the buffer from byte `bufferOffset` on; false when it cannot, or when that is unknown.
 */
export function isAligned(buffer: Uint8Array, bufferOffset: number): boolean {
  if (!types.isUint8Array(buffer)) return false;
  const memory = buffer.buffer;
  const beginsAtPage = memory instanceof SharedArrayBuffer && memory.growable;
  return (
    beginsAtPage &&
    Number.isSafeInteger(bufferOffset) &&
    (buffer.byteOffset + bufferOffset) % DIRECT_ALIGNMENT_BYTES === 0
  );
}

/** True when direct I/O can use every buffer of the list as it is. */
export function areAligned(buffers: readonly Uint8Array[]): boolean {
  return buffers.every((buffer) => isAligned(buffer, 0) && buffer.byteLength % DIRECT_ALIGNMENT_BYTES === 0);
}
