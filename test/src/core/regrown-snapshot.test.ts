/** A blob that shrinks and grows again, and of which a snapshot is made then: the snapshot keeps the tail, also on disk. */

import { Blobstore, type Durability, runSync } from '@blobyard/core';
import { SparseMemoryDevice } from '@blobyard/io';
import { expect, test } from 'vitest';

const CLUSTER_BYTES = 4096;
const CLUSTERS = [0, 50, 100, 300, 599];

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
  const write = (cluster: number) => channel.writeSync(blob, new Uint8Array(CLUSTER_BYTES).fill(1), cluster, 1);
  const read = (cluster: number) => {
    const bytes = new Uint8Array(CLUSTER_BYTES);
    channel.readSync(blob, bytes, cluster, 1);
    return bytes[0];
  };
  for (const cluster of [0, 100, 300, 599]) write(cluster);
  runSync(store.syncBlob(blob));
  runSync(store.resizeBlob(blob, 200));
  write(50); // with 'process-crash' this writes an extent page that ends at the new size
  runSync(store.resizeBlob(blob, 600));
  const before = CLUSTERS.map(read);
  const snapshot = runSync(store.createSnapshot(id));
  expect(CLUSTERS.map(read)).toEqual(before);
  store.verify();
  runSync(store.abandon());
  store = runSync(Blobstore.load(device, options));
  runSync(store.audit());
  channel = store.openChannel();
  for (const each of [snapshot, id]) {
    blob = runSync(store.openBlob(each));
    expect(CLUSTERS.map(read)).toEqual(before);
  }
});
