/**
 * The cost of large thin blobs: memory and work depend on what is written, not on the size of the blob. Also, what
 * happens when the memory for maps is used up.
 */

import { Blobstore, runSync } from '@blobyard/core';
import { SparseMemoryDevice } from '@blobyard/io';
import { describe, expect, test } from 'vitest';

const MIB = 2 ** 20;
const GIB_CLUSTERS = 1024;
const PER_CLUSTER = MIB / 4096;

function opened(clusters: number, useExtentTable: boolean, mdPageCount = 8192) {
  const device = new SparseMemoryDevice({ sizeBytes: (clusters + 1024) * MIB, blockLengthBytes: 4096 });
  const store = runSync(Blobstore.init(device, { clusterBytes: MIB, mdPageCount }));
  const channel = store.openChannel();
  const { maps } = store.shared;
  const create = (clusterCount: number) => {
    const id = runSync(store.createBlob({ clusterCount, thin: true, useExtentTable }));
    return runSync(store.openBlob(id));
  };
  return { device, store, channel, maps, create };
}

/** Starts to count the entries of maps that are read and written. Returns a function that returns the count. */
function countEntries(maps: ReturnType<typeof opened>['maps']): () => number {
  let count = 0;
  const { load, peek, store, window } = maps;
  const counted = (length: number) => {
    count += length;
  };
  Object.assign(maps, {
    load(at: number) {
      counted(1);
      return load.call(maps, at);
    },
    peek(at: number) {
      counted(1);
      return peek.call(maps, at);
    },
    store(at: number, value: number) {
      counted(1);
      store.call(maps, at, value);
    },
    window(start: number, length: number) {
      counted(length);
      return window.call(maps, start, length);
    },
  });
  return () => {
    const before = count;
    count = 0;
    return before;
  };
}

describe('creation, snapshot, clone and deletion of a thin blob with 64 clusters written', () => {
  const costs = (clusters: number) => {
    const { store, channel, maps, create } = opened(clusters, true);
    const page = new Uint8Array(4096).fill(1);
    const bytesBefore = maps.buffer.byteLength;
    const take = countEntries(maps);
    const counts: Record<string, number> = {};
    const blob = create(clusters);
    counts.create = take();
    for (let cluster = 0; cluster < 64; cluster++) channel.writeSync(blob, page, cluster * PER_CLUSTER, 1);
    runSync(store.flush());
    take();
    const snapshot = runSync(store.createSnapshot(blob.id));
    counts.snapshot = take();
    const clone = runSync(store.createClone(snapshot));
    counts.clone = take();
    runSync(store.deleteBlob(clone));
    counts.deleteClone = take();
    runSync(store.deleteBlob(snapshot));
    counts.deleteSnapshot = take();
    runSync(store.closeBlob(blob));
    runSync(store.deleteBlob(blob.id));
    counts.delete = take();
    store.verify();
    return { counts, bytes: maps.buffer.byteLength - bytesBefore };
  };

  test('visit as many map entries at 4 TiB as at 1 GiB, and take no more memory for them than a directory', () => {
    const small = costs(GIB_CLUSTERS);
    const large = costs(4096 * GIB_CLUSTERS);
    for (const [operation, count] of Object.entries(small.counts)) {
      // A list of 8192 extent pages has longer leaves than one of two; 4 TiB have four million clusters.
      expect([operation, large.counts[operation] <= 2 * count + 4096]).toEqual([operation, true]);
    }
    expect(large.bytes).toBeLessThanOrEqual(2 ** 18);
  });
});

describe.each([true, false])(
  'a write that needs memory for the map, which is used up (extent table: %s)',
  (useExtentTable) => {
    test('throws ENOMEM, loses nothing, and works when there is room again', () => {
      const { store, channel, maps, create } = opened(4096, useExtentTable, 64);
      const blob = create(4096);
      const page = new Uint8Array(4096).fill(7);
      channel.writeSync(blob, page, 0, 1);
      const before = { clusters: store.freeClusterCount, allocated: blob.allocatedCount };
      const hoard: number[] = [];
      try {
        for (;;) hoard.push(maps.allocate(512));
      } catch (error) {
        expect(error).toMatchObject({ code: 'ENOMEM' });
      }
      const offset = 2000 * PER_CLUSTER;
      expect(() => channel.writeSync(blob, page, offset, 1)).toThrow(expect.objectContaining({ code: 'ENOMEM' }));
      const read = new Uint8Array(4096).fill(9);
      channel.readSync(blob, read, offset, 1);
      expect(read.every((byte) => byte === 0)).toBe(true);
      channel.writeSync(blob, page, 1 * PER_CLUSTER, 1); // its map entry is in a leaf that exists
      runSync(store.syncBlob(blob));
      store.verify();
      expect(store.freeClusterCount).toBe(before.clusters - 1); // the claimed cluster is free again
      for (const start of hoard) maps.free(start, 512);
      channel.writeSync(blob, page, offset, 1);
      channel.readSync(blob, read, offset, 1);
      expect([read[0], blob.allocatedCount]).toEqual([7, before.allocated + 2]);
      runSync(store.syncBlob(blob));
      store.verify();
      runSync(store.closeBlob(blob));
      runSync(store.audit());
    });
  },
);

test('a deletion of a snapshot fails if there is no memory for the clone’s map, and both stay unchanged', () => {
  const { store, channel, maps, create } = opened(4096, true);
  const blob = create(4096);
  const page = new Uint8Array(4096).fill(3);
  for (const cluster of [0, 1000, 4000]) channel.writeSync(blob, page, cluster * PER_CLUSTER, 1);
  const snapshot = runSync(store.createSnapshot(blob.id));
  const hoard: number[] = [];
  try {
    for (;;) hoard.push(maps.allocate(512));
  } catch {
    // full
  }
  const free = store.freeClusterCount;
  expect(() => runSync(store.deleteBlob(snapshot))).toThrow(expect.objectContaining({ code: 'ENOMEM' }));
  store.verify();
  expect([store.freeClusterCount, store.clonesOf(snapshot)]).toEqual([free, [blob.id]]);
  for (const start of hoard) maps.free(start, 512);
  runSync(store.deleteBlob(snapshot));
  const read = new Uint8Array(4096);
  for (const cluster of [0, 1000, 4000]) {
    channel.readSync(blob, read, cluster * PER_CLUSTER, 1);
    expect(read[0]).toBe(3);
  }
  store.verify();
});
