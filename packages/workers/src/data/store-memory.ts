/** Allocates memory for transfers: from a `MemoryDevice`, if the device is one, otherwise new shared memory. */

import { BlobstoreError, type BlockDevice } from '@blobyard/core';
import { allocateAligned, MemoryDevice } from '@blobyard/io';
import { checkBytes, checkInteger } from '../checks/checks.js';

/** See `Store.allocate`. */
export function allocateFor(device: BlockDevice, bytes: number): Uint8Array {
  checkInteger('the number of bytes to allocate', bytes, 1, Number.MAX_SAFE_INTEGER);
  try {
    if (device instanceof MemoryDevice) return device.allocateBuffer(bytes);
  } catch (error) {
    if (!(error instanceof BlobstoreError) || (error.code !== 'ENOMEM' && error.code !== 'EINVAL')) throw error;
    // The arena of the device is full, or too small. Other memory works, too, but is slower.
  }
  return allocateAligned(bytes);
}

/** See `Store.release`. */
export function releaseTo(device: BlockDevice, buffer: Uint8Array): void {
  const { buffer: memory } = checkBytes('the memory to release', buffer);
  if (device instanceof MemoryDevice && memory === device.memory.buffer) device.releaseBuffer(buffer);
}
