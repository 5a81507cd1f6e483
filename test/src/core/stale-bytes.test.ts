/** A newly allocated cluster reads as zeroes, also if a crash has left data in it that no map names. */

import {
  type Blob,
  Blobstore,
  BlobstoreError,
  type BlockDevice,
  type Channel,
  type Durability,
  runSync,
} from '@blobyard/core';
import { FaultyDevice, SparseMemoryDevice } from '@blobyard/io';
import { describe, expect, test } from 'vitest';

const CLUSTER_BYTES = 8192;
const UNITS = CLUSTER_BYTES / 512;

interface Opened {
  store: Blobstore;
  channel: Channel;
}

function load(device: BlockDevice, durability: Durability = 'power-loss'): Opened {
  const store = runSync(Blobstore.load(device, { clusterBytes: CLUSTER_BYTES, durability }));
  return { store, channel: store.openChannel() };
}

/** A device with a store of one thin and two thick blobs, cleanly unloaded. */
function makeDevice(): { device: SparseMemoryDevice; lowestId: bigint; thinId: bigint; thickId: bigint } {
  const device = new SparseMemoryDevice({ sizeBytes: 64 * CLUSTER_BYTES, blockLengthBytes: 512 });
  const store = runSync(Blobstore.init(device, { clusterBytes: CLUSTER_BYTES, mdPageCount: 32 }));
  const lowestId = runSync(store.createBlob({ clusterCount: 2 }));
  const thinId = runSync(store.createBlob({ clusterCount: 4, thin: true }));
  const thickId = runSync(store.createBlob({ clusterCount: 1 }));
  runSync(store.unload());
  return { device, lowestId, thinId, thickId };
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
    expectNewBlobsZero(load(device));
  });
});

const cutOff: [string, (opened: Opened, ids: { thinId: bigint; thickId: bigint }) => void][] = [
  [
    'a clone copied a cluster',
    ({ store, channel }, { thinId }) =>
      channel.writeSync(runSync(store.openBlob(thinId)), SECRET.subarray(0, 512), UNITS, 1),
  ],
  ['a blob was deleted', ({ store }, { thickId }) => runSync(store.deleteBlob(thickId))],
  [
    'a snapshot was deleted whose clone had written a cluster',
    ({ store, channel }, { thinId }) => {
      const clone = runSync(store.openBlob(thinId));
      channel.writeSync(clone, SECRET.subarray(0, 512), UNITS, 1);
      runSync(store.syncBlob(clone));
      runSync(store.deleteBlob(clone.parentId));
    },
  ],
  [
    'a blob became shorter',
    ({ store }, { thickId }) => {
      const blob = runSync(store.openBlob(thickId));
      runSync(store.resizeBlob(blob, 0));
      runSync(store.syncBlob(blob));
    },
  ],
];

describe.each(cutOff)('after a process was killed while %s, at each of its writes', (_, act) => {
  test.each([
    ['power-loss', 'in use'],
    ['power-loss', 'just opened'],
    ['process-crash', 'in use'],
    ['process-crash', 'just opened'],
  ] as const)('new blobs read as zeroes (%s, the store was %s)', (durability, state) => {
    for (let at = 1, wasCut = true; wasCut; at++) {
      const { device, ...ids } = makeDevice();
      const faulty = new FaultyDevice(device);
      let before = load(faulty, durability);
      const { store, channel } = before;
      const thin = runSync(store.openBlob(ids.thinId));
      channel.writeSync(thin, SECRET, 0, 4 * UNITS);
      runSync(store.createSnapshot(ids.thinId));
      const thick = runSync(store.openBlob(ids.thickId));
      channel.writeSync(thick, SECRET, 0, UNITS);
      runSync(store.closeBlob(thick));
      runSync(store.deleteBlob(ids.lowestId)); // so that clusters are free below those that are used
      runSync(store.flush());
      if (state === 'just opened') {
        runSync(store.closeBlob(thin));
        runSync(store.unload());
        before = load(faulty, durability);
      }
      faulty.cutPowerAt(at);
      try {
        act(before, ids);
      } catch (error) {
        expect(error).toBeInstanceOf(BlobstoreError);
      }
      wasCut = !faulty.isPowered;
      runSync(before.store.abandon());
      expectNewBlobsZero(load(device, durability));
    }
  });
});

/** Allocates all free clusters to new blobs, and expects these to read as zeroes. */
function expectNewBlobsZero({ store, channel }: Opened): void {
  const clusterCount = store.freeClusterCount;
  const thick = runSync(store.openBlob(runSync(store.createBlob({ clusterCount: clusterCount - 8 }))));
  const thin = runSync(store.openBlob(runSync(store.createBlob({ clusterCount: 8, thin: true }))));
  for (let cluster = 0; cluster < 8; cluster++) channel.writeSync(thin, new Uint8Array(512), cluster * UNITS, 1);
  for (const blob of [thick, thin]) expect(isZero(channel, blob)).toBe(true);
}

function isZero(channel: Channel, blob: Blob): boolean {
  const bytes = new Uint8Array(blob.clusterCount * CLUSTER_BYTES).fill(1);
  channel.readSync(blob, bytes, 0, blob.clusterCount * UNITS);
  return bytes.every((byte) => byte === 0);
}
