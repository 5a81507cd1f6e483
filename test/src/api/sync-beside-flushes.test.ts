/** Synchronous writes while a flush waits for a turn of the event loop: they need not wait, and are not refused. */

import { SparseMemoryDevice } from 'blobyard';
import { expect, test } from 'vitest';
import { CountingDevice } from './counting-device.js';
import { bytes, CLUSTER, isPooled, KiB, MiB, testStore } from './support.js';

test.skipIf(isPooled)('synchronous first writes succeed during a flush of the blob', async () => {
  const medium = new SparseMemoryDevice({ sizeBytes: 64 * MiB, blockLengthBytes: 512 });
  const device = Object.assign(new CountingDevice(medium), { cacheOwner: new Uint8Array(16).fill(7) });
  const store = await testStore(device); // with an insertion log
  const blob = await store.create({ sizeBytes: 256 * CLUSTER, thin: true });
  let cluster = 0;
  const writeFirst = () => {
    blob.writeSync(bytes(4 * KiB, cluster), cluster * CLUSTER);
    cluster++;
  };
  let between = 0;
  for (let round = 0; round < 10; round++) {
    writeFirst();
    await blob.xattrs.set('round', String(round)); // so that the root is written, too
    let isFlushed = false;
    const flushing = blob.flush().then(() => {
      isFlushed = true;
    });
    while (!isFlushed) {
      writeFirst();
      between++;
      await new Promise((resolve) => setImmediate(resolve));
    }
    await flushing;
  }
  expect(between).toBeGreaterThan(20);
  await blob.flush();
  for (let at = 0; at < cluster; at++) expect(await blob.read(at * CLUSTER, 4 * KiB)).toEqual(bytes(4 * KiB, at));
  await blob.close();
});
