/**
 * A process is killed, its store is recovered, and then the power is cut, while the last writes are not flushed yet.
 */

import { Blobstore, BlobstoreError, runSync } from '@blobyard/core';
import { FaultyDevice, SparseMemoryDevice } from '@blobyard/io';
import { describe, expect, test } from 'vitest';
import { VolatileCache } from './volatile-cache.js';

const CLUSTER_BYTES = 8192;
const UNITS = CLUSTER_BYTES / 512;
const CONTENT = new Uint8Array(2 * CLUSTER_BYTES).fill(7);

/** A store whose process was killed at the k-th change of a blob's deletion. The device's cache keeps all writes. */
function killedAt(k: number): { cache: VolatileCache; id: bigint } {
  const cache = new VolatileCache(new SparseMemoryDevice({ sizeBytes: 64 * CLUSTER_BYTES, blockLengthBytes: 512 }));
  const device = new FaultyDevice(cache);
  const store = runSync(Blobstore.init(device, { clusterBytes: CLUSTER_BYTES, mdPageCount: 32 }));
  const id = runSync(store.createBlob({ clusterCount: 2 }));
  const blob = runSync(store.openBlob(id));
  store.openChannel().writeSync(blob, CONTENT, 0, 2 * UNITS);
  runSync(store.closeBlob(blob));
  runSync(store.flush());
  cache.begin();
  device.cutPowerAt(k);
  expect(() => runSync(store.deleteBlob(id))).toThrow(BlobstoreError);
  runSync(store.abandon());
  return { cache, id };
}

describe.each([undefined, 'refuse'] as const)('onDamage %s', (onDamage) => {
  const options = { clusterBytes: CLUSTER_BYTES, onDamage };

  test('a blob whose deletion was killed is there with all its data or gone, also after a power cut', () => {
    let goneAtFirst = 0;
    for (const k of [1, 2, 3, 4]) {
      const { cache, id } = killedAt(k);
      const recovered = runSync(Blobstore.load(cache, options));
      if (!recovered.blobIds().includes(id)) goneAtFirst++;
      runSync(recovered.abandon());
      for (const { name, medium } of cache.images()) {
        const again = runSync(Blobstore.load(medium, options));
        if (!again.blobIds().includes(id)) continue;
        const bytes = new Uint8Array(CONTENT.length);
        again.openChannel().readSync(runSync(again.openBlob(id)), bytes, 0, 2 * UNITS);
        expect(Buffer.compare(bytes, CONTENT), `killed at ${k}, ${name}`).toBe(0);
      }
    }
    expect(goneAtFirst).toBeGreaterThan(1);
  });
});

test('data of a killed process in free clusters is cleared, also if the power is cut during the recovery', () => {
  const cache = new VolatileCache(new SparseMemoryDevice({ sizeBytes: 64 * CLUSTER_BYTES, blockLengthBytes: 512 }));
  const store = runSync(Blobstore.init(cache, { clusterBytes: CLUSTER_BYTES, mdPageCount: 32 }));
  const thin = runSync(store.openBlob(runSync(store.createBlob({ clusterCount: 40, thin: true }))));
  const channel = store.openChannel();
  for (let cluster = 0; cluster < 40; cluster++) channel.writeSync(thin, CONTENT.subarray(0, 512), cluster * UNITS, 1);
  runSync(store.abandon()); // no map on disk names these clusters
  cache.begin();
  runSync(runSync(Blobstore.load(cache, { clusterBytes: CLUSTER_BYTES, onDamage: 'refuse' })).abandon());

  let count = 0;
  for (const { name, medium } of cache.images()) {
    count++;
    const again = runSync(Blobstore.load(medium, { clusterBytes: CLUSTER_BYTES, onDamage: 'refuse' }));
    const clusterCount = again.freeClusterCount;
    const blob = runSync(again.openBlob(runSync(again.createBlob({ clusterCount }))));
    const bytes = new Uint8Array(clusterCount * CLUSTER_BYTES);
    again.openChannel().readSync(blob, bytes, 0, clusterCount * UNITS);
    expect(
      bytes.findIndex((byte) => byte !== 0),
      name,
    ).toBe(-1);
  }
  expect(count).toBeGreaterThan(3);
});
