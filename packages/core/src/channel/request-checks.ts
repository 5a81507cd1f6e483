/** What a request must be before it becomes a transfer. */

import { BLOB, BLOB_FLAG } from '../shared/layout.js';
import { BlobstoreError } from '../units/error.js';
import type { BlobRef, ChannelHost } from './host.js';
import { OP, type Op, type Payload, pastTheEnd, readOnly, requireSameBlob } from './operation.js';
import { isBytes, requireScatterLength, type ScatterList } from './scatter.js';

/** True for what may be the reference to a blob. */
export function isRef(blob: unknown): blob is BlobRef {
  return typeof blob === 'object' && blob !== null;
}

/**
 * Throws unless a request can be made.
 * @throws EINVAL outside the blob or the buffer, EBADF the blob is not open, EPERM it is read-only, EIO the store has ended.
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
  if (count !== 0 && offset + count > ioUnitCount) {
    requireSameBlob(shared, slot, blob.generation); // closed since the first look, it has no io units
    throw pastTheEnd(offset, count, ioUnitCount);
  }
  if (op === OP.READ || op === OP.WRITE) requireInBuffer(payload, bufferOffset, count * ioUnitBytes);
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
