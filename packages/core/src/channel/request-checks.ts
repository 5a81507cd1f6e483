/** Checks the arguments of requests. */

import { BLOB, BLOB_FLAG } from '../shared/layout.js';
import { isBytes } from '../units/argument-checks.js';
import { BlobstoreError } from '../units/error.js';
import type { BlobRef, ChannelHost } from './host.js';
import { OP, type Op, type Payload, pastTheEnd, readOnly, requireSameBlob } from './operation.js';
import { requireScatterLength, type ScatterList } from './scatter.js';

/** True for an object, which may be a blob reference. */
export function isRef(blob: unknown): blob is BlobRef {
  return typeof blob === 'object' && blob !== null;
}

/**
 * Checks a request. Does not change anything. `offset` and `count` are in io units; in bytes for a range of bytes.
 * @throws EINVAL for a range outside the blob or the buffer or arguments of wrong types, EBADF when the blob is not
 * open, EPERM when it is read-only and the operation changes it, EIO when the store has failed.
 */
export function checkRequest(
  host: ChannelHost,
  op: Op,
  blob: BlobRef,
  payload: Payload,
  bufferOffset: number,
  offset: number,
  count: number,
): void {
  const { shared } = host;
  const { blobs } = shared;
  if (!isRef(blob)) throw new BlobstoreError('EINVAL', 'the first argument must be an open blob');
  shared.life?.glance();
  const { slot } = blob;
  if (!blobs.hasSlot(slot)) throw new BlobstoreError('EBADF', 'the blob is not open in this store');
  requireSameBlob(shared, slot, blob.generation);
  if (op >= OP.WRITE && (blobs.load(slot, BLOB.FLAGS) & BLOB_FLAG.DATA_RO) !== 0) throw readOnly();
  if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(count) || offset < 0 || count < 0) {
    throw badPlace(offset, count);
  }
  const { ioUnitsPerCluster, ioUnitBytes } = host.geometry;
  const ioUnitCount = (blobs.load(slot, BLOB.CLUSTER_COUNT) >>> 0) * ioUnitsPerCluster;
  const bytesOfOne = op === OP.READ_BYTES || op === OP.WRITE_BYTES ? 1 : ioUnitBytes;
  if (count !== 0 && (offset + count) * bytesOfOne > ioUnitCount * ioUnitBytes) {
    requireSameBlob(shared, slot, blob.generation); // if the blob was closed after the first check, its size reads as 0
    throw pastTheEnd((offset * bytesOfOne) / ioUnitBytes, (count * bytesOfOne) / ioUnitBytes, ioUnitCount);
  }
  if (bytesOfOne === 1 || op === OP.READ || op === OP.WRITE) requireInBuffer(payload, bufferOffset, count * bytesOfOne);
  else if (op === OP.READV || op === OP.WRITEV) {
    requireScatterLength((payload as ScatterList).buffers, count * ioUnitBytes);
  }
}

function requireInBuffer(buffer: unknown, bufferOffset: number, bytes: number): void {
  if (!isBytes(buffer)) throw new BlobstoreError('EINVAL', 'the buffer must be a Uint8Array');
  const isWithin = Number.isSafeInteger(bufferOffset) && bufferOffset >= 0;
  if (!isWithin || bufferOffset + bytes > buffer.length) throw tooSmall(buffer.length, bufferOffset, bytes);
}

function badPlace(offset: unknown, count: unknown): BlobstoreError {
  if (typeof offset !== 'number' || typeof count !== 'number') {
    return new BlobstoreError('EINVAL', 'offset and length must be numbers of io units');
  }
  return new BlobstoreError('EINVAL', `offset ${offset} and length ${count} must be whole numbers from 0`);
}

function tooSmall(length: number, bufferOffset: unknown, bytes: number): BlobstoreError {
  if (typeof bufferOffset !== 'number')
    return new BlobstoreError('EINVAL', 'the offset in the buffer must be a number');
  return new BlobstoreError('EINVAL', `the operation moves ${bytes} bytes at ${bufferOffset} of a buffer of ${length}`);
}
