/**
 * The external snapshots of the traces: an id says which byte stream the device holds, and its blocks. This is also the module
 * of a custom device, by which other threads open the same.
 */

import { BlobstoreError, type BlockDevice, type ExternalSnapshotRequest } from '@blobyard/core';
import { type CustomDeviceSpec, SparseMemoryDevice } from '@blobyard/io';
import { byteStream } from './byte-stream.js';

interface StreamOptions {
  readonly seed: number;
  readonly blockLengthBytes: number;
  readonly blockCount: number;
}

/** A device that knows how other threads open it. */
export interface StreamDevice extends BlockDevice {
  readonly spec: CustomDeviceSpec;
}

/** Threads load what was built, also where a test runs from its source. */
const MODULE = new URL('../../dist/conformance/external-snapshots.js', import.meta.url).href;

/**
 * A device that holds the byte stream of a seed. As the reference's do, it claims that its blocks lie at the same place on the
 * store's device, which makes the reference copy from there: a fault of the reference, which an engine has only with such a
 * device.
 */
export function openDevice(options: StreamOptions): StreamDevice {
  const { seed, blockLengthBytes, blockCount } = options;
  const bytes = byteStream(seed, blockLengthBytes * blockCount);
  const spec: CustomDeviceSpec = { kind: 'custom', module: MODULE, options };
  return Object.assign(SparseMemoryDevice.fromBytes(bytes, { blockLengthBytes }), {
    translateLba: (lba: number) => lba,
    spec,
  });
}

/** Opens the device that an id such as `SEED:BLOCKLEN:BLOCKCNT` names. EINVAL when it names none. */
export function openByName({ snapshotId }: ExternalSnapshotRequest): StreamDevice {
  const text = Buffer.from(snapshotId).toString('latin1');
  const match = /^(\d+):(\d+):(\d+)$/.exec(text);
  if (!match) throw new BlobstoreError('EINVAL', `'${text}' names no external snapshot`);
  const [seed, blockLengthBytes, blockCount] = match.slice(1).map(Number);
  if (blockLengthBytes === 0 || blockCount === 0) throw new BlobstoreError('EINVAL', `'${text}' names an empty device`);
  return openDevice({ seed, blockLengthBytes, blockCount });
}
