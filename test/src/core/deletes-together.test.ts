/**
 * Creating a blob first finishes deletions that were interrupted. A deletion that is still under way must not be
 * finished twice by that.
 */

import { type BlobId, Blobstore, run } from '@blobyard/core';
import { asyncDevice, SparseMemoryDevice } from '@blobyard/io';
import { expect, test } from 'vitest';
import { shuffled } from '../random.js';

const CLUSTER_BYTES = 8192;
const UNITS = 16;

async function makeStore(seed: number): Promise<Blobstore> {
  const device = new SparseMemoryDevice({ sizeBytes: 64 * CLUSTER_BYTES, blockLengthBytes: 512 });
  return run(Blobstore.init(asyncDevice(device, shuffled(seed)), { clusterBytes: CLUSTER_BYTES }));
}

/** A snapshot with one clone, both with data. */
async function makeSnapshot(store: Blobstore): Promise<BlobId> {
  const channel = store.openChannel();
  const id = await run(store.createBlob({ clusterCount: 3, thin: true }));
  const blob = await run(store.openBlob(id));
  await channel.write(blob, new Uint8Array(2 * CLUSTER_BYTES).fill(1), 0, 2 * UNITS);
  const snapshot = await run(store.createSnapshot(id));
  await channel.write(blob, new Uint8Array(CLUSTER_BYTES).fill(2), UNITS, UNITS);
  await run(store.closeBlob(blob));
  await run(store.closeChannel(channel));
  return snapshot;
}

test.each([1, 2, 3, 4, 5, 6, 7, 8])('deletions and creations at once each take effect once, seed %i', async (seed) => {
  const store = await makeStore(seed);
  const snapshot = await makeSnapshot(store);
  const plain = await run(store.createBlob({ clusterCount: 4 }));
  const before = store.blobIds().length;
  const creations = Array.from({ length: 3 }, async (_, index) => {
    for (let turn = 0; turn < (seed - 1) * 4 + index; turn++) await new Promise((resolve) => setImmediate(resolve));
    return run(store.createBlob({ clusterCount: 1 }));
  });
  const deletions = [snapshot, plain].map((id) => run(store.deleteBlob(id)));
  await Promise.all([...deletions, ...creations]);
  expect(store.blobIds()).toHaveLength(before + 1);
  store.verify();
  await run(store.audit());
  await run(store.unload());
});
