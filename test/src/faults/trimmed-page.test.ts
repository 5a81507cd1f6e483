/** A power cut after the sync of a blob that became shorter, while another operation gave it clusters. */

import { Blobstore, run, runSync } from '@blobyard/core';
import { FaultyDevice, SparseMemoryDevice } from '@blobyard/io';
import { expect, test } from 'vitest';
import { isSettled } from '../peer/fixture.js';
import { VolatileCache } from './volatile-cache.js';

const CLUSTER_BYTES = 8192;
const UNITS = CLUSTER_BYTES / 512;
const LONG = 8;
const SHORT = 3;
const CONTENT = new Uint8Array(CLUSTER_BYTES).fill(7);

test('an inflation during that sync names an extent page in a root only after the page is on disk', async () => {
  const cache = new VolatileCache(new SparseMemoryDevice({ sizeBytes: 64 * CLUSTER_BYTES, blockLengthBytes: 512 }));
  const device = new FaultyDevice(cache, { asynchronous: true });
  const store = await run(Blobstore.init(device, { clusterBytes: CLUSTER_BYTES, mdPageCount: 32 }));
  const blob = await run(store.openBlob(await run(store.createBlob({ clusterCount: LONG, thin: true }))));
  const channel = store.openChannel();
  await channel.write(blob, CONTENT, 0, UNITS);
  await run(store.flush());
  cache.begin();

  await run(store.resizeBlob(blob, SHORT));
  const root = device.gate('write', 1);
  const syncing = run(store.syncBlob(blob));
  await root.reached;
  const inflating = run(store.inflateBlob(channel, blob.id));
  expect(await isSettled(inflating), 'it waits for its turn to be persisted').toBe(false);
  root.release();
  await syncing;
  await inflating;

  let thick = 0;
  for (const { name, medium } of cache.images()) {
    const loaded = runSync(Blobstore.load(medium, { clusterBytes: CLUSTER_BYTES, onDamage: 'refuse' }));
    const found = runSync(loaded.openBlob(blob.id));
    const bytes = new Uint8Array(CLUSTER_BYTES);
    loaded.openChannel().readSync(found, bytes, 0, UNITS);
    expect(Buffer.compare(bytes, CONTENT), name).toBe(0);
    if (!found.isThin) thick++;
  }
  expect(thick).toBeGreaterThan(0);
});
