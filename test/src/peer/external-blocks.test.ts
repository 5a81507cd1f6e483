/** External snapshots with the same and with another block length than the store. */

import { type Blob, type Blobstore, runSync } from '@blobyard/core';
import { expect } from 'vitest';
import { ExternalSource } from './external-source.js';
import { codeOf, eachConfiguration, type Yard, type YardOptions } from './fixture.js';

const CLUSTER_BYTES = 16 * 1024;
const CLUSTERS = 4;

function storeWith(
  blockLengthBytes: number,
  externalBlockBytes: number,
): { source: ExternalSource; options: YardOptions } {
  const source = new ExternalSource(CLUSTERS * CLUSTER_BYTES, externalBlockBytes);
  const store = { clusterBytes: CLUSTER_BYTES, openExternalSnapshot: source.open };
  return { source, options: { blockLengthBytes, deviceBytes: 8 * 2 ** 20, store } };
}

/** Reads all data of a clone, writes one io unit in each cluster, and expects the other io units to be copied. */
function readAndWrite(yard: Yard, source: ExternalSource): void {
  const { geometry } = yard.store;
  const blob = yard.make({ clusterCount: CLUSTERS, externalSnapshotId: Uint8Array.of(5) });
  const total = CLUSTERS * geometry.ioUnitsPerCluster;
  const expected = Buffer.from(source.last.bytes);
  expectBytes(yard, blob, total, expected);
  for (let at = 0; at < total; at++) {
    const part = expected.subarray(at * geometry.ioUnitBytes, (at + 1) * geometry.ioUnitBytes);
    expect(part.compare(Buffer.from(yard.read(blob, at, 1)))).toBe(0);
  }
  for (let cluster = 0; cluster < CLUSTERS; cluster++) {
    const at = cluster * geometry.ioUnitsPerCluster + cluster;
    yard.write(blob, at, 1, 70 + cluster);
    expected.set(yard.payload(70 + cluster, 1), at * geometry.ioUnitBytes);
    expect(blob.map.allocatedCount).toBe(cluster + 1);
    expectBytes(yard, blob, total, expected);
  }
  yard.reload();
  expectBytes(yard, yard.open(blob.id), total, expected);
}

function expectBytes(yard: Yard, blob: Blob, total: number, expected: Buffer): void {
  expect(expected.compare(Buffer.from(yard.read(blob, 0, total)))).toBe(0);
}

function openFails(store: Blobstore, id: bigint): string {
  return codeOf(() => runSync(store.openBlob(id)));
}

eachConfiguration((test) => {
  const same4096 = storeWith(4096, 4096);
  test(
    'reads and copies an external snapshot, both with blocks of 4096 bytes',
    (yard) => readAndWrite(yard, same4096.source),
    same4096.options,
  );

  const same512 = storeWith(512, 512);
  test(
    'reads and copies an external snapshot, both with blocks of 512 bytes',
    (yard) => readAndWrite(yard, same512.source),
    same512.options,
  );

  const smaller = storeWith(4096, 512);
  test(
    'reads and copies an external snapshot with blocks of 512 bytes behind a store with 4096',
    (yard) => readAndWrite(yard, smaller.source),
    smaller.options,
  );

  const { source, options } = storeWith(512, 4096);
  test(
    'creates, but does not open, a clone of an external snapshot with larger blocks than the store',
    (yard) => {
      const id = yard.create({ clusterCount: CLUSTERS, externalSnapshotId: Uint8Array.of(5) });
      expect(openFails(yard.store, id)).toBe('EINVAL');
      expect(source.openCount).toBe(0);
      expect(source.opened.length).toBeGreaterThan(0);
      yard.unload();
      yard.load();
      expect(yard.store.damaged.map(({ error }) => error.code)).toEqual(['EINVAL']);
      yard.leavesDamage = true;
    },
    options,
  );
});
