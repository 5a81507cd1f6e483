/** The operations of a channel, and the checks and errors that they share. */

import { BLOB } from '../shared/layout.js';
import type { SharedStore } from '../shared/shared-store.js';
import { BlobstoreError } from '../units/error.js';
import type { ScatterList } from './scatter.js';

/** The operations: first those that read, then those that change a blob; checks rely on this order. */
export const OP = {
  READ: 0,
  READV: 1,
  /** A range of bytes, not of io units. */
  READ_BYTES: 2,
  WRITE: 3,
  WRITEV: 4,
  WRITE_BYTES: 5,
  WRITE_ZEROES: 6,
  UNMAP: 7,
} as const;
export type Op = (typeof OP)[keyof typeof OP];

/** The names of the operations in error messages. */
export const DOING: Readonly<Record<Op, string>> = {
  [OP.READ]: 'read',
  [OP.READV]: 'read',
  [OP.READ_BYTES]: 'read',
  [OP.WRITE]: 'write',
  [OP.WRITEV]: 'write',
  [OP.WRITE_BYTES]: 'write',
  [OP.WRITE_ZEROES]: 'write zeroes',
  [OP.UNMAP]: 'unmap',
};

/** A buffer or a scatter list; undefined for `WRITE_ZEROES` and `UNMAP`. */
export type Payload = Uint8Array | ScatterList | undefined;

/** The device cluster of a cluster of a blob, or 0. The caller is inside the blob. */
export function lookUpCluster(shared: SharedStore, slot: number, cluster: number): number {
  return shared.maps.loadIn(shared.blobs.load(slot, BLOB.MAP_OFFSET) >>> 0, cluster);
}

/** Throws EBADF when the generation of a blob's block is not the given one, because the blob was closed. */
export function requireSameBlob(shared: SharedStore, slot: number, generation: number): void {
  if (shared.blobs.load(slot, BLOB.GENERATION) === generation) return;
  throw new BlobstoreError('EBADF', 'the blob was closed meanwhile');
}

export function readOnly(): BlobstoreError {
  return new BlobstoreError('EPERM', 'the blob is read-only');
}

export function pastTheEnd(offset: number, count: number, ioUnitCount: number): BlobstoreError {
  return new BlobstoreError(
    'EINVAL',
    `io units ${offset} to ${offset + count} are past the blob's end at ${ioUnitCount}`,
  );
}
