/** A newer insertion may replace a part of a record of the insertion log: the rest of the record still counts. */

import { type BlockDevice, run } from '@blobyard/core';
import { MemoryDevice } from '@blobyard/io';
import { createStore, openStore } from '@blobyard/workers';
import { expect, test } from 'vitest';

const CLUSTER_BYTES = 8192;
const CLUSTERS = 4;

/** A device whose cache outlives the process. */
function keptBy(device: MemoryDevice): BlockDevice {
  const { blockLengthBytes, synchronous, canCopy } = device;
  return {
    ...{ blockLengthBytes, synchronous, canCopy, cacheOwner: new Uint8Array(16).fill(1) },
    get blockCount() {
      return device.blockCount;
    },
    openChannel: () => device.openChannel(),
    close: () => device.close(),
  };
}

test('after a kill, the neighbours of a cluster that was trimmed and written again are still there', async () => {
  const device = MemoryDevice.create({ sizeBytes: 64 * CLUSTER_BYTES });
  const store = await createStore({ device: keptBy(device), clusterSizeBytes: CLUSTER_BYTES, mdPageCount: 16 });
  const blob = await store.create({ name: 'a', sizeBytes: CLUSTERS * CLUSTER_BYTES, thin: true });
  const written = new Uint8Array(CLUSTERS * CLUSTER_BYTES);
  const write = async (cluster: number, value: number) => {
    written.fill(value, cluster * CLUSTER_BYTES, (cluster + 1) * CLUSTER_BYTES);
    await blob.write(new Uint8Array(CLUSTER_BYTES).fill(value), cluster * CLUSTER_BYTES);
  };
  for (let cluster = 0; cluster < CLUSTERS; cluster++) await write(cluster, cluster + 1);
  await blob.trim(CLUSTER_BYTES, CLUSTER_BYTES);
  await write(1, 9);

  const left = MemoryDevice.fromBytes(device.bytes()); // as a kill leaves it
  const again = await openStore({ device: keptBy(left) });
  await run(again.engine.blobstore.audit());
  const found = await again.open({ name: 'a' });
  expect(Buffer.compare(await found.read(0, written.length), written)).toBe(0);
  await again.close();
  await store.close();
});
