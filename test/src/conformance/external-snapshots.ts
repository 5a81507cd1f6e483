/** The external snapshots of the traces: an id says which byte stream the device holds, and its blocks. */

import { BlobstoreError, type BlockDevice, type ExternalSnapshotRequest } from '@blobyard/core';
import { SparseMemoryDevice } from '@blobyard/io';
import { byteStream } from './byte-stream.js';

/**
 * A device that holds the byte stream of a seed. As the reference's do, it claims that its blocks lie at the same place on the
 * store's device, which makes the reference copy from there: a fault of the reference, which an engine has only with such a
 * device.
 */
export function streamDevice(seed: number, blockLengthBytes: number, blockCount: number): BlockDevice {
  const bytes = byteStream(seed, blockLengthBytes * blockCount);
  return Object.assign(SparseMemoryDevice.fromBytes(bytes, { blockLengthBytes }), {
    translateLba: (lba: number) => lba,
  });
}

/** Opens the device that an id such as `SEED:BLOCKLEN:BLOCKCNT` names. EINVAL when it names none. */
export function openByName({ snapshotId }: ExternalSnapshotRequest): BlockDevice {
  const text = Buffer.from(snapshotId).toString('latin1');
  const match = /^(\d+):(\d+):(\d+)$/.exec(text);
  if (!match) throw new BlobstoreError('EINVAL', `'${text}' names no external snapshot`);
  const [seed, blockLengthBytes, blockCount] = match.slice(1).map(Number);
  if (blockLengthBytes === 0 || blockCount === 0) throw new BlobstoreError('EINVAL', `'${text}' names an empty device`);
  return streamDevice(seed, blockLengthBytes, blockCount);
}
