/**
 * A snapshot that is shorter than its clone and than its own parent. Past the snapshot's end the clone reads zeroes,
 * also after the snapshot is deleted and its parent becomes the clone's parent.
 */

import { type Blob, Blobstore, type Channel, type Durability, runSync } from '@blobyard/core';
import { SparseMemoryDevice } from '@blobyard/io';
import { expect, test } from 'vitest';

const CLUSTER_BYTES = 8192;
const UNITS = CLUSTER_BYTES / 512;

interface Family {
  store: Blobstore;
  channel: Channel;
  clone: Blob;
  snapshotId: bigint;
}

/** Makes a parent with four clusters of data, a snapshot of two clusters on it, and a clone of six on that. */
function makeFamily(durability: Durability, useExtentTable: boolean, external: boolean): Family {
  const device = new SparseMemoryDevice({ sizeBytes: 64 * CLUSTER_BYTES, blockLengthBytes: 512 });
  const image = new Uint8Array(4 * CLUSTER_BYTES).fill(7);
  const openExternalSnapshot = () => SparseMemoryDevice.fromBytes(image, { blockLengthBytes: 512 });
  const store = runSync(
    Blobstore.init(device, { clusterBytes: CLUSTER_BYTES, mdPageCount: 32, durability, openExternalSnapshot }),
  );
  const channel = store.openChannel();
  const externalSnapshotId = external ? Uint8Array.of(1) : undefined;
  const id = runSync(store.createBlob({ clusterCount: 4, thin: true, useExtentTable, externalSnapshotId }));
  const clone = runSync(store.openBlob(id));
  if (!external) {
    channel.writeSync(clone, image, 0, 4 * UNITS);
    runSync(store.createSnapshot(id));
  }
  runSync(store.resizeBlob(clone, 2));
  const snapshotId = runSync(store.createSnapshot(id));
  runSync(store.resizeBlob(clone, external ? 4 : 6));
  return { store, channel, clone, snapshotId };
}

/** The first byte of each cluster of the clone. Expects all bytes of a cluster to be the same. */
function contentOf({ channel, clone }: Family): number[] {
  const bytes = new Uint8Array(CLUSTER_BYTES);
  return Array.from({ length: clone.clusterCount }, (_, cluster) => {
    channel.readSync(clone, bytes, cluster * UNITS, UNITS);
    expect(bytes.every((byte) => byte === bytes[0])).toBe(true);
    return bytes[0];
  });
}

function remove(family: Family, how: 'delete' | 'decouple'): void {
  const { store, channel, clone, snapshotId } = family;
  if (how === 'delete') runSync(store.deleteBlob(snapshotId));
  else runSync(store.decoupleBlob(channel, clone.id));
}

const cases = (['delete', 'decouple'] as const).flatMap((how) =>
  (['power-loss', 'process-crash'] as const).flatMap((durability) =>
    [true, false].map((useExtentTable) => ({ how, durability, useExtentTable })),
  ),
);

test.each(cases)('zeroes after $how, $durability, table: $useExtentTable', ({ how, durability, useExtentTable }) => {
  const family = makeFamily(durability, useExtentTable, false);
  expect(contentOf(family)).toEqual([7, 7, 0, 0, 0, 0]);
  remove(family, how);
  expect(contentOf(family)).toEqual([7, 7, 0, 0, 0, 0]);
  family.store.verify();
  runSync(family.store.closeBlob(family.clone));
  const { device } = family.store;
  runSync(family.store.unload());
  const store = runSync(Blobstore.load(device, { clusterBytes: CLUSTER_BYTES, forceRecover: true }));
  const reloaded = { ...family, store, channel: store.openChannel(), clone: runSync(store.openBlob(family.clone.id)) };
  expect(contentOf(reloaded)).toEqual([7, 7, 0, 0, 0, 0]);
});

test('zeroes, too, after the deletion of a snapshot whose parent is an external snapshot', () => {
  const family = makeFamily('power-loss', true, true);
  expect(contentOf(family)).toEqual([7, 7, 0, 0]);
  remove(family, 'delete');
  expect(contentOf(family)).toEqual([7, 7, 0, 0]);
  family.store.verify();
});
