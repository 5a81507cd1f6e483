/**
 * The external snapshots of the traces. The id of a snapshot gives the byte stream that its device holds, and the
 * number and length of its blocks. Other threads load this file as the module of a custom device, to open the same
 * device.
 */

import { BlobstoreError, type BlockDevice, type ExternalSnapshotRequest } from '@blobyard/core';
import { type CustomDeviceSpec, SparseMemoryDevice } from '@blobyard/io';
import { byteStream } from './byte-stream.js';

interface StreamOptions {
  readonly seed: number;
  readonly blockLengthBytes: number;
  readonly blockCount: number;
}

/** A device with the specification by which other threads open it. */
export interface StreamDevice extends BlockDevice {
  readonly spec: CustomDeviceSpec;
}

/** Threads load the built file, also when the test runs from its source. */
const MODULE = new URL('../../dist/conformance/external-snapshots.js', import.meta.url).href;

/**
 * A device that holds the byte stream of a seed. Like the devices of the reference runner, it claims that its blocks
 * lie at the same place on the store's device. So the reference copies from there. This is a fault of the reference,
 * which this engine repeats only with such a device.
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

/** Opens the device that an id of the form `SEED:BLOCKLEN:BLOCKCNT` names. EINVAL for other ids, and empty devices. */
export function openByName({ snapshotId }: ExternalSnapshotRequest): StreamDevice {
  const text = Buffer.from(snapshotId).toString('latin1');
  const match = /^(\d+):(\d+):(\d+)$/.exec(text);
  if (!match)
    throw new BlobstoreError('EINVAL', `the id '${text}' of an external snapshot is not SEED:BLOCKLEN:BLOCKCNT`);
  const [seed, blockLengthBytes, blockCount] = match.slice(1).map(Number);
  if (blockLengthBytes === 0 || blockCount === 0) throw new BlobstoreError('EINVAL', `'${text}' names an empty device`);
  return openDevice({ seed, blockLengthBytes, blockCount });
}
