/** A cluster that is given anew reads as zeroes, also when a crash has left something in it that no map names. */

import { type Blob, Blobstore, type Channel, runSync } from '@blobyard/core';
import { SparseMemoryDevice } from '@blobyard/io';
import { describe, expect, test } from 'vitest';

const CLUSTER_BYTES = 8192;
const UNITS = CLUSTER_BYTES / 512;

interface Opened {
  store: Blobstore;
  channel: Channel;
}

function load(device: SparseMemoryDevice): Opened {
  const store = runSync(Blobstore.load(device, { clusterBytes: CLUSTER_BYTES }));
  return { store, channel: store.openChannel() };
}

/** A device with a store of one thin and one thick blob, cleanly unloaded. */
function makeDevice(): { device: SparseMemoryDevice; thinId: bigint; thickId: bigint } {
  const device = new SparseMemoryDevice({ sizeBytes: 64 * CLUSTER_BYTES, blockLengthBytes: 512 });
  const store = runSync(Blobstore.init(device, { clusterBytes: CLUSTER_BYTES, mdPageCount: 32 }));
  const thinId = runSync(store.createBlob({ clusterCount: 4, thin: true }));
  const thickId = runSync(store.createBlob({ clusterCount: 1 }));
  runSync(store.unload());
  return { device, thinId, thickId };
}

const SECRET = new Uint8Array(4 * CLUSTER_BYTES).fill(0x5e);

const ways: [string, (opened: Opened, ids: { thinId: bigint; thickId: bigint }) => void][] = [
  [
    'a thin blob was written and not synced',
    ({ store, channel }, { thinId }) => channel.writeSync(runSync(store.openBlob(thinId)), SECRET, 0, 4 * UNITS),
  ],
  [
    'a thick blob grew, was written and not synced',
    ({ store, channel }, { thickId }) => {
      const blob = runSync(store.openBlob(thickId));
      runSync(store.resizeBlob(blob, 5));
      channel.writeSync(blob, SECRET, UNITS, 4 * UNITS);
    },
  ],
  [
    'a clone copied a cluster and was not synced',
    ({ store, channel }, { thinId }) => {
      const blob = runSync(store.openBlob(thinId));
      channel.writeSync(blob, SECRET, 0, 4 * UNITS);
      runSync(store.createSnapshot(thinId));
      for (let cluster = 0; cluster < 4; cluster++) channel.writeSync(blob, SECRET, cluster * UNITS, 1);
    },
  ],
];

describe.each(ways)('after a crash where %s', (_, spoil) => {
  test('new blobs read as zeroes', () => {
    const { device, ...ids } = makeDevice();
    const before = load(device);
    spoil(before, ids);
    runSync(before.store.abandon());
    const { store, channel } = load(device);
    const clusterCount = store.freeClusterCount;
    const thick = runSync(store.openBlob(runSync(store.createBlob({ clusterCount: clusterCount - 8 }))));
    const thin = runSync(store.openBlob(runSync(store.createBlob({ clusterCount: 8, thin: true }))));
    for (let cluster = 0; cluster < 8; cluster++) channel.writeSync(thin, new Uint8Array(512), cluster * UNITS, 1);
    for (const blob of [thick, thin]) expect(isZero(channel, blob)).toBe(true);
  });
});

function isZero(channel: Channel, blob: Blob): boolean {
  const bytes = new Uint8Array(blob.clusterCount * CLUSTER_BYTES).fill(1);
  channel.readSync(blob, bytes, 0, blob.clusterCount * UNITS);
  return bytes.every((byte) => byte === 0);
}
