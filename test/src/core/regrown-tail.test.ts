/** A blob that shrinks and grows again before a sync: what memory has of its tail is what the disk has after the next sync. */

import { Blobstore, type Durability, runSync } from '@blobyard/core';
import { SparseMemoryDevice } from '@blobyard/io';
import { expect, test } from 'vitest';

const CLUSTER_BYTES = 4096;

const cases = (['power-loss', 'process-crash'] as const).flatMap((durability) =>
  [true, false].flatMap((useExtentTable) =>
    [true, false].map((thin): [Durability, boolean, boolean] => [durability, useExtentTable, thin]),
  ),
);

test.each(cases)('%s, extent table %s, thin %s', (durability, useExtentTable, thin) => {
  const device = new SparseMemoryDevice({ sizeBytes: 2000 * CLUSTER_BYTES });
  const options = { clusterBytes: CLUSTER_BYTES, durability };
  let store = runSync(Blobstore.init(device, { ...options, mdPageCount: 64 }));
  const id = runSync(store.createBlob({ clusterCount: 600, thin, useExtentTable }));
  let blob = runSync(store.openBlob(id));
  let channel = store.openChannel();
  const write = (cluster: number, value: number) =>
    channel.writeSync(blob, new Uint8Array(CLUSTER_BYTES).fill(value), cluster, 1);
  const read = (cluster: number) => {
    const bytes = new Uint8Array(CLUSTER_BYTES);
    channel.readSync(blob, bytes, cluster, 1);
    return bytes[0];
  };
  for (const cluster of [0, 100, 300, 599]) write(cluster, 1);
  runSync(store.syncBlob(blob));
  runSync(store.resizeBlob(blob, 200));
  write(50, 2); // with 'process-crash' this writes an extent page that ends at the new size
  runSync(store.resizeBlob(blob, 600));
  write(300, 3); // in the cluster that the blob had there before
  write(599, 4);
  const before = [0, 50, 100, 300, 599].map(read);
  expect(before).toEqual([1, 2, 1, 3, 4]);
  store.verify();
  runSync(store.closeBlob(blob));
  runSync(store.unload());
  for (const forceRecover of [false, true]) {
    store = runSync(Blobstore.load(device, { ...options, forceRecover }));
    blob = runSync(store.openBlob(id));
    channel = store.openChannel();
    expect([0, 50, 100, 300, 599].map(read)).toEqual(before);
    expect(store.freeClusterCount).toBe(store.dataClusterCount - (thin ? 5 : 600));
    runSync(store.closeBlob(blob));
    runSync(store.unload());
  }
});
