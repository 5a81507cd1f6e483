/** While a clone is decoupled, the map and the parent of its snapshot must not change: only the snapshot is copied. */

import { Blobstore, run } from '@blobyard/core';
import { FaultyDevice, SparseMemoryDevice } from '@blobyard/io';
import { expect, test } from 'vitest';

const CLUSTER_BYTES = 8192;
const UNITS = 16;

test('operations that would change the snapshot of a clone that is being decoupled fail with EBUSY', async () => {
  const memory = new SparseMemoryDevice({ sizeBytes: 64 * CLUSTER_BYTES, blockLengthBytes: 512 });
  const device = new FaultyDevice(memory, { asynchronous: true });
  const store = await run(Blobstore.init(device, { clusterBytes: CLUSTER_BYTES }));
  const channel = store.openChannel();
  const write = (blob: Parameters<typeof channel.write>[0], cluster: number, value: number) =>
    channel.write(blob, new Uint8Array(CLUSTER_BYTES).fill(value), cluster * UNITS, UNITS);
  const id = await run(store.createBlob({ clusterCount: 4, thin: true }));
  const blob = await run(store.openBlob(id));
  await write(blob, 0, 1);
  const grandparent = await run(store.createSnapshot(id));
  await write(blob, 1, 2);
  const parent = await run(store.createSnapshot(id));
  const sibling = await run(store.createClone(parent));

  const gate = device.gate('write', 1); // the write of the first copied cluster
  const decoupling = run(store.decoupleBlob(channel, id));
  await gate.reached;
  await expect(run(store.inflateBlob(channel, parent))).rejects.toMatchObject({ code: 'EBUSY' });
  await expect(run(store.decoupleBlob(channel, parent))).rejects.toMatchObject({ code: 'EBUSY' });
  await expect(run(store.deleteBlob(grandparent))).rejects.toMatchObject({ code: 'EBUSY' });
  await run(store.decoupleBlob(channel, sibling));
  gate.release();
  await decoupling;
  expect(store.clonesOf(grandparent)).toEqual([parent, sibling, id]);

  // Afterwards these operations are allowed again.
  await run(store.inflateBlob(channel, parent));
  const read = new Uint8Array(2 * CLUSTER_BYTES);
  await channel.read(blob, read, 0, 2 * UNITS);
  expect([read[0], read[CLUSTER_BYTES]]).toEqual([1, 2]);
  store.verify();
  await run(store.closeBlob(blob));
  await run(store.closeChannel(channel));
  await run(store.unload());
});
