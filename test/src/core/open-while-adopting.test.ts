/** A clone's clone is opened while the snapshot behind both is deleted, and the clone in between takes it over. */

import { Blobstore, run } from '@blobyard/core';
import { asyncDevice, SparseMemoryDevice } from '@blobyard/io';
import { expect, test } from 'vitest';

const CLUSTER_BYTES = 8192;
const UNITS = 16;
const CLUSTERS = 4;

test.each(Array.from({ length: 32 }, (_, delay) => delay))('%i turns after the deletion began', async (delay) => {
  const medium = new SparseMemoryDevice({ sizeBytes: 64 * CLUSTER_BYTES, blockLengthBytes: 512 });
  const store = await run(Blobstore.init(asyncDevice(medium), { clusterBytes: CLUSTER_BYTES }));
  const channel = store.openChannel();
  const id = await run(store.createBlob({ clusterCount: CLUSTERS, thin: true }));
  const original = await run(store.openBlob(id));
  await channel.write(original, new Uint8Array(CLUSTERS * CLUSTER_BYTES).fill(1), 0, CLUSTERS * UNITS);
  const oldest = await run(store.createSnapshot(id));
  await run(store.createSnapshot(id));
  await run(store.closeBlob(original));
  const deletion = run(store.deleteBlob(oldest));
  for (let turn = 0; turn < delay; turn++) await new Promise((resolve) => setImmediate(resolve));
  const blob = await run(store.openBlob(id));
  await deletion;
  const bytes = new Uint8Array(CLUSTERS * CLUSTER_BYTES);
  await channel.read(blob, bytes, 0, CLUSTERS * UNITS);
  expect(bytes.every((byte) => byte === 1)).toBe(true);
  store.verify();
  await run(store.closeBlob(blob));
  await run(store.audit());
});
