/**
 * The clone of a snapshot is opened while that snapshot's own parent is deleted, and the snapshot takes over the
 * parent's clusters. One of the reads of the opening takes long: what it has read of the snapshot before must not be
 * used when it is out of date.
 */

import { Blobstore, type BlockDevice, run } from '@blobyard/core';
import { asyncDevice, SparseMemoryDevice } from '@blobyard/io';
import { expect, test } from 'vitest';

const CLUSTER_BYTES = 8192;
const UNITS = 16;
const CLUSTERS = 4;
/** More turns of the event loop than a deletion takes. */
const LONG_TURNS = 200;

/** An asynchronous device. `letLinger` selects a read, counted from 1, that takes long. */
function lingeringDevice() {
  const device = asyncDevice(new SparseMemoryDevice({ sizeBytes: 64 * CLUSTER_BYTES, blockLengthBytes: 512 }));
  let readsUntilLong = 0;
  const wrapped: BlockDevice = {
    blockLengthBytes: device.blockLengthBytes,
    blockCount: device.blockCount,
    synchronous: false,
    canCopy: false,
    close: () => device.close(),
    openChannel: () => {
      const channel = device.openChannel();
      const read: typeof channel.read = async (...args) => {
        const isLong = --readsUntilLong === 0;
        await channel.read(...args);
        if (isLong) await turns(LONG_TURNS);
      };
      return {
        read,
        write: (...args) => channel.write(...args),
        readv: (...args) => channel.readv(...args),
        writev: (...args) => channel.writev(...args),
        writeZeroes: (...args) => channel.writeZeroes(...args),
        unmap: (...args) => channel.unmap(...args),
        flush: () => channel.flush(),
        close: () => channel.close(),
      };
    },
  };
  return { wrapped, letLinger: (read: number) => (readsUntilLong = read) };
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

const reads = [1, 2, 3, 4, 5, 6, 7, 8];
const cases = reads.flatMap((read) => [0, 1, 2, 4].map((delay): [number, number] => [read, delay]));

test.each(cases)('data is right: read %i takes long, deletion %i turns later', async (read, delay) => {
  const { wrapped, letLinger } = lingeringDevice();
  const store = await run(Blobstore.init(wrapped, { clusterBytes: CLUSTER_BYTES }));
  const channel = store.openChannel();
  const id = await run(store.createBlob({ clusterCount: CLUSTERS, thin: true }));
  const original = await run(store.openBlob(id));
  await channel.write(original, new Uint8Array(CLUSTERS * CLUSTER_BYTES).fill(1), 0, CLUSTERS * UNITS);
  const oldest = await run(store.createSnapshot(id));
  await run(store.createSnapshot(id));
  await run(store.closeBlob(original));

  letLinger(read);
  const opening = run(store.openBlob(id));
  await turns(delay);
  // The deletion is refused if the opening already has the snapshot open.
  const [, blob] = await Promise.all([run(store.deleteBlob(oldest)).catch(() => undefined), opening]);
  const bytes = new Uint8Array(CLUSTERS * CLUSTER_BYTES);
  await channel.read(blob, bytes, 0, CLUSTERS * UNITS);
  expect(bytes.every((byte) => byte === 1)).toBe(true);
  store.verify();
  await run(store.closeBlob(blob));
  await run(store.audit());
});
