/** Memory for transfers: from a device in shared memory where it is one, otherwise shared memory of its own. */

import { BlobstoreError, type BlockDevice } from '@blobyard/core';
import { allocateAligned, MemoryDevice } from '@blobyard/io';
import { checkBytes, checkInteger } from '../checks/checks.js';

/** As `Store.allocate`. */
export function allocateFor(device: BlockDevice, bytes: number): Uint8Array {
  checkInteger('the number of bytes to allocate', bytes, 1, Number.MAX_SAFE_INTEGER);
  try {
    if (device instanceof MemoryDevice) return device.allocateBuffer(bytes);
  } catch (error) {
    if (!(error instanceof BlobstoreError) || (error.code !== 'ENOMEM' && error.code !== 'EINVAL')) throw error;
    // Its arena is full, or too small for this: memory of another kind works as well, only slower.
  }
  return allocateAligned(bytes);
}

/** As `Store.release`. */
export function releaseTo(device: BlockDevice, buffer: Uint8Array): void {
  const { buffer: memory } = checkBytes('the memory to release', buffer);
  if (device instanceof MemoryDevice && memory === device.memory.buffer) device.releaseBuffer(buffer);
}
