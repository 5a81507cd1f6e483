/**
 * Buffers whose memory begins at a page, as direct I/O wants them. JavaScript shows no addresses; a growable
 * SharedArrayBuffer is the kind that Node always maps by whole pages, and the only one that can be told from the
 * others.
 */

import { types } from 'node:util';
import { BlobstoreError } from '@blobyard/core';
import { checkInteger } from './option-checks.js';

/** What direct I/O asks of addresses, positions and lengths: multiples of this many bytes. */
export const DIRECT_ALIGNMENT_BYTES = 512;

/** A buffer of zeroes that begins at a page. ENOMEM when there is none so long. It is shared memory, and can be posted to other threads. */
export function allocateAligned(lengthBytes: number): Uint8Array {
  checkInteger('the length of a buffer', lengthBytes, 0, Number.MAX_SAFE_INTEGER);
  try {
    // A view without an explicit length would follow the buffer's growth, and be slow.
    return new Uint8Array(new SharedArrayBuffer(lengthBytes, { maxByteLength: lengthBytes }), 0, lengthBytes);
  } catch (cause) {
    throw new BlobstoreError('ENOMEM', `there is no shared memory of ${lengthBytes} bytes: ask for less`, { cause });
  }
}

/** True when direct I/O can use the buffer from `bufferOffset` on; false also when that cannot be known. */
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

/** True when direct I/O can use all the buffers, one after another. */
export function areAligned(buffers: readonly Uint8Array[]): boolean {
  return buffers.every((buffer) => isAligned(buffer, 0) && buffer.byteLength % DIRECT_ALIGNMENT_BYTES === 0);
}
