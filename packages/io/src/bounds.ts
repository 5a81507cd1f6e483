/**
 * The argument checks of all devices, made before an operation changes anything. A range that is not wholly on the
 * device is EIO, as on a disk; invalid numbers and buffers are EINVAL. The checks allocate nothing unless they throw.
 */

import { types } from 'node:util';
import { BlobstoreError } from '@blobyard/core';
import { describeValue } from '@blobyard/core/internal/describe-value';

const { isUint8Array } = types;

/** Throws EINVAL unless both numbers are safe integers, EIO unless all the blocks are on the device. */
export function checkRange(operation: string, lba: number, blockCount: number, deviceBlocks: number): void {
  const isWhole = Number.isSafeInteger(lba) && Number.isSafeInteger(blockCount);
  if (isWhole && lba >= 0 && blockCount >= 0 && lba + blockCount <= deviceBlocks) return;
  throw rangeError(operation, lba, blockCount, deviceBlocks);
}

/** Same as `checkRange`, for a range of bytes. */
export function checkByteRange(operation: string, position: number, length: number, deviceBytes: number): void {
  const isWhole = Number.isSafeInteger(position) && Number.isSafeInteger(length);
  if (isWhole && position >= 0 && length >= 0 && position + length <= deviceBytes) return;
  throw byteRangeError(operation, position, length, deviceBytes);
}

/** Throws EINVAL unless the buffer has `lengthBytes` bytes from `bufferOffset` on. */
export function checkBuffer(operation: string, buffer: Uint8Array, bufferOffset: number, lengthBytes: number): void {
  if (!isUint8Array(buffer)) throw noBytes(operation, buffer);
  const isWhole = Number.isSafeInteger(bufferOffset);
  if (isWhole && bufferOffset >= 0 && bufferOffset + lengthBytes <= buffer.length) return;
  const asked = `${operation} of ${lengthBytes} bytes at byte ${describeValue(bufferOffset)} of a buffer`;
  throw new BlobstoreError('EINVAL', `${asked} that has ${buffer.byteLength}; give a larger one`);
}

/** Throws EINVAL unless the lengths of the buffers add up to `lengthBytes`. */
export function checkList(operation: string, buffers: readonly Uint8Array[], lengthBytes: number): void {
  requireList(operation, buffers);
  const listBytes = totalBytes(buffers);
  if (listBytes === lengthBytes) return;
  throw new BlobstoreError(
    'EINVAL',
    `${operation} of ${lengthBytes} bytes with buffers of ${listBytes} bytes in all; they must be the same`,
  );
}

/** Checks both ranges of a copy. Throws EIO unless they are on the device, EINVAL if they overlap. */
export function checkCopy(target: number, source: number, blockCount: number, deviceBlocks: number): void {
  checkRange('copy to', target, blockCount, deviceBlocks);
  checkRange('copy from', source, blockCount, deviceBlocks);
  if (target + blockCount <= source || source + blockCount <= target) return;
  throw new BlobstoreError('EINVAL', `copy of ${blockCount} blocks from ${source} to ${target}: the ranges overlap`);
}

/** Throws EBADF when `isOpen` is false. */
export function checkOpen(operation: string, isOpen: boolean): void {
  if (!isOpen) throw new BlobstoreError('EBADF', `${operation} on a channel or device that is closed; open another`);
}

/** The sum of the lengths of the buffers, in bytes. */
export function totalBytes(buffers: readonly Uint8Array[]): number {
  let total = 0;
  for (let index = 0; index < buffers.length; index++) total += buffers[index].byteLength;
  return total;
}

function requireList(operation: string, buffers: readonly Uint8Array[]): void {
  if (types.isProxy(buffers) || !Array.isArray(buffers)) throw noBytes(operation, buffers);
  for (let index = 0; index < buffers.length; index++) {
    if (!isUint8Array(buffers[index])) throw noBytes(operation, buffers[index]);
  }
}

function noBytes(operation: string, given: unknown): BlobstoreError {
  return new BlobstoreError('EINVAL', `${operation} with ${describeValue(given)}; give Uint8Arrays`);
}

function rangeError(operation: string, lba: number, blockCount: number, deviceBlocks: number): BlobstoreError {
  const asked = `${operation} of ${describeValue(blockCount)} blocks at block ${describeValue(lba)}`;
  if (!Number.isSafeInteger(lba) || !Number.isSafeInteger(blockCount)) {
    return new BlobstoreError('EINVAL', `${asked}; both must be whole numbers`);
  }
  return new BlobstoreError('EIO', `${asked} of a device that has ${deviceBlocks}`);
}

function byteRangeError(operation: string, position: number, length: number, deviceBytes: number): BlobstoreError {
  const asked = `${operation} of ${describeValue(length)} bytes at byte ${describeValue(position)}`;
  if (!Number.isSafeInteger(position) || !Number.isSafeInteger(length)) {
    return new BlobstoreError('EINVAL', `${asked}; both must be whole numbers`);
  }
  return new BlobstoreError('EIO', `${asked} of a device that has ${deviceBytes}`);
}
