/**
 * A flush of a blob while a snapshot of it is being made. At that time the snapshot has the blob's map, so the blob's
 * metadata must not be written.
 */

import { type Blob, Blobstore, type Channel, run, runSync } from '@blobyard/core';
import { FaultyDevice, SparseMemoryDevice } from '@blobyard/io';
import { describe, expect, it } from 'vitest';

const BLOCK_BYTES = 512;
const CLUSTER_BYTES = 16384;
const UNITS = CLUSTER_BYTES / BLOCK_BYTES;
/** The numbers of the writes that a snapshot makes, and a few more. */
const GATES = [1, 2, 3, 4, 5, 6];

/** A thin blob with a flushed cluster of sevens, and another cluster that is not on disk yet. */
async function dirtyBlob(device: FaultyDevice): Promise<{ store: Blobstore; blob: Blob; channel: Channel }> {
  const store = await run(Blobstore.init(device, { clusterBytes: CLUSTER_BYTES }));
  const blob = await run(store.openBlob(await run(store.createBlob({ clusterCount: 4, thin: true }))));
  const channel = store.openChannel();
  await channel.write(blob, new Uint8Array(CLUSTER_BYTES).fill(7), 0, UNITS);
  await run(store.flushBlob(blob));
  await channel.write(blob, new Uint8Array(CLUSTER_BYTES), UNITS, UNITS);
  return { store, blob, channel };
}

function firstByteAfterCrash(image: Uint8Array, id: bigint): number {
  const store = runSync(Blobstore.load(SparseMemoryDevice.fromBytes(image, { blockLengthBytes: BLOCK_BYTES })));
  const buffer = new Uint8Array(BLOCK_BYTES);
  store.openChannel().readSync(runSync(store.openBlob(id)), buffer, 0, 1);
  return buffer[0];
}

describe('a flush while a snapshot is being made', () => {
  it.each(GATES)('loses nothing in a crash at write %i of it', async (write) => {
    const inner = new SparseMemoryDevice({ sizeBytes: 4 << 20, blockLengthBytes: BLOCK_BYTES });
    const device = new FaultyDevice(inner, { asynchronous: true });
    const { store, blob } = await dirtyBlob(device);
    const gate = device.gate('write', write);
    const snapshot = run(store.createSnapshot(blob.id));
    await Promise.race([gate.reached, snapshot]);
    const flush = run(store.flushBlob(blob));
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(firstByteAfterCrash(inner.bytes(), blob.id)).toBe(7);
    gate.release();
    await Promise.all([snapshot, flush]);
    expect(firstByteAfterCrash(inner.bytes(), blob.id)).toBe(7);
    store.verify();
  });
});
