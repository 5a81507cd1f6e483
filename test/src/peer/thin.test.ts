/** Thin blobs: holes, first writes, unmaps, and the device operations of these. */

import { pageOfBlobId } from '@blobyard/core';
import { expect } from 'vitest';
import { codeOf, eachConfiguration, isSettled, PER_CLUSTER, type Yard } from './fixture.js';
import { chainDescriptors, DESCRIPTOR, wordsOf } from './raw-page.js';

/** Options with which the engine writes exactly what the specification writes. */
const THROUGH = { store: { durability: 'process-crash', highWater: false } } as const;

/** The numbers of blocks that were written to metadata pages and to data clusters since the last call. */
function written(yard: Yard): { metadata: number; data: number } {
  const dataFrom = yard.store.geometry.metadataClusterCount() * yard.store.geometry.blocksPerCluster;
  const sum = { metadata: 0, data: 0 };
  for (const { kind, lba, blockCount } of yard.recorder.take()) {
    if (kind === 'write' || kind === 'copy') sum[lba < dataFrom ? 'metadata' : 'data'] += blockCount;
  }
  return sum;
}

eachConfiguration((test) => {
  test('allocates nothing for a thin blob, and a dirty load counts no clusters for its holes', (yard) => {
    const free = yard.store.freeClusterCount;
    const blob = yard.make({ clusterCount: 10, thin: true });
    expect([yard.store.freeClusterCount, blob.map.allocatedCount]).toEqual([free, 0]);
    yard.sync(blob);
    yard.crash();
    expect(yard.store.freeClusterCount).toBe(free);
    const again = yard.open(blob.id);
    expect([again.clusterCount, again.map.allocatedCount]).toEqual([10, 0]);
    yard.expectContent(again, 0, 10 * PER_CLUSTER, 0);
  });

  test('keeps a cluster that was inserted by a first write, written through or with the next sync', (yard) => {
    const blob = yard.make({ clusterCount: 4, thin: true });
    yard.write(blob, 2 * PER_CLUSTER, 1, 5);
    const cluster = blob.clusterAt(2);
    expect(cluster).not.toBe(0);
    yard.sync(blob);
    yard.crash();
    const again = yard.open(blob.id);
    expect([0, 1, 2, 3].map((index) => again.clusterAt(index))).toEqual([0, 0, cluster, 0]);
    yard.expectContent(again, 2 * PER_CLUSTER, 1, 5);
  });

  test(
    'keeps a cluster that was inserted by a first write without a sync, where all is written through',
    (yard) => {
      const blob = yard.make({ clusterCount: 4, thin: true });
      yard.write(blob, 2 * PER_CLUSTER, 1, 5);
      const cluster = blob.clusterAt(2);
      yard.crash();
      const again = yard.open(blob.id);
      expect([0, 1, 2, 3].map((index) => again.clusterAt(index))).toEqual([0, 0, cluster, 0]);
      yard.expectContent(again, 2 * PER_CLUSTER, 1, 5);
    },
    THROUGH,
  );

  test('reads holes as zeroes, and writes only what it is given', (yard) => {
    const free = yard.store.freeClusterCount;
    const blob = yard.make({ clusterCount: 5, thin: true });
    yard.expectContent(blob, 4, 10, 0);
    expect(yard.store.freeClusterCount).toBe(free);
    yard.recorder.take();
    yard.write(blob, 4, 10, 1);
    expect(written(yard).data).toBe(10); // the blob has no parent, so nothing is copied
    expect(yard.store.freeClusterCount).toBe(free - 1);
    yard.expectContent(blob, 4, 10, 1);
    yard.expectContent(blob, 0, 4, 0);
    yard.expectContent(blob, 14, 242, 0);
    yard.write(blob, 250, 12, 2);
    expect(yard.store.freeClusterCount).toBe(free - 2);
    yard.reload();
    const again = yard.open(blob.id);
    expect(again.map.allocatedCount).toBe(2);
    yard.expectContent(again, 250, 12, 2);
  });

  test('lets two channels race for a cluster: one gets it, the other gives its own back', async (yard) => {
    const { store } = yard;
    const original = yard.make({ clusterCount: 2 });
    yard.write(original, 0, PER_CLUSTER, 1);
    const snapshot = yard.snapshot(original);
    const free = store.freeClusterCount;
    const [slow, fast] = [store.openChannel(), store.openChannel()];
    await yard.later(async () => {
      const gate = yard.device.gate(yard.configuration.canCopy ? 'copy' : 'read', 1);
      const slowWrite = slow.write(original, yard.payload(2, 1), 3, 1);
      await gate.reached;
      const taken = free - store.freeClusterCount;
      await fast.write(original, yard.payload(3, 1), 9, 1);
      expect(store.freeClusterCount).toBe(free - 2);
      expect(taken).toBe(1);
      gate.release();
      await slowWrite;
    });
    expect(store.freeClusterCount).toBe(free - 1);
    expect(original.map.allocatedCount).toBe(1);
    yard.expectContent(original, 3, 1, 2);
    yard.expectContent(original, 9, 1, 3);
    yard.expectContent(yard.open(snapshot), 0, PER_CLUSTER, 1);
    yard.expectContent(yard.make({ clusterCount: 1 }), 0, PER_CLUSTER, 0); // the cluster of the channel that lost the race was cleared
  });

  test('lets two channels race for a new extent page, which only one of them allocates', async (yard) => {
    const { store } = yard;
    const original = yard.make({ clusterCount: 3 });
    yard.write(original, 0, 2 * PER_CLUSTER, 1);
    yard.snapshot(original);
    const { usage } = yard;
    const channels = [store.openChannel(), store.openChannel()];
    await yard.later(async () => {
      const kind = yard.configuration.canCopy ? 'copy' : 'read';
      const gates = [yard.device.gate(kind, 1), yard.device.gate(kind, 2)];
      const writes = channels.map((channel, cluster) =>
        channel.write(original, yard.payload(2, 1), cluster * PER_CLUSTER, 1),
      );
      await Promise.all(gates.map((gate) => gate.reached));
      for (const gate of gates) gate.release();
      await Promise.all(writes);
    });
    const pages = yard.configuration.useExtentTable ? 1 : 0;
    expect(yard.usage).toEqual({ usedPages: usage.usedPages + pages, freeClusters: usage.freeClusters - 2 });
    yard.expectContent(original, 0, 1, 2);
    yard.expectContent(original, PER_CLUSTER, 1, 2);
  });

  test(
    'writes one or two metadata pages at a first write, and none later',
    (yard) => {
      const { useExtentTable } = yard.configuration;
      const blob = yard.make({ clusterCount: 1024, thin: true });
      written(yard);
      const costs: unknown[] = [];
      for (const [cluster, page] of [
        [0, 0],
        [0, 1],
        [1, 0],
        [513, 0],
        [514, 0],
      ]) {
        yard.write(blob, cluster * 4 + page, 1, 1);
        costs.push(written(yard));
      }
      const [first, again, next, other, otherNext] = costs;
      expect(first).toEqual({ metadata: useExtentTable ? 2 : 1, data: 1 }); // a new extent page, and the root that names it
      expect(again).toEqual({ metadata: 0, data: 1 });
      expect(next).toEqual({ metadata: 1, data: 1 });
      expect(other).toEqual(first);
      expect(otherNext).toEqual(next);
      yard.channel.unmapSync(blob, 4, 4);
      expect(written(yard)).toEqual({ metadata: 1, data: 0 });
      yard.write(blob, 4, 1, 1);
      expect(written(yard)).toEqual({ metadata: 1, data: 1 }); // the extent page is still there
    },
    { store: { ...THROUGH.store, clusterBytes: 16 * 1024, mdPageCount: 300 } },
  );

  test('writes no metadata at first writes where the next sync does', (yard) => {
    const blob = yard.make({ clusterCount: 8, thin: true });
    written(yard);
    for (let cluster = 0; cluster < 8; cluster++) yard.write(blob, cluster * PER_CLUSTER, 1, 1);
    expect(written(yard)).toEqual({ metadata: 0, data: 8 });
    yard.sync(blob);
    expect(written(yard)).toEqual({ metadata: yard.configuration.useExtentTable ? 2 : 1, data: 0 });
    yard.sync(blob);
    expect(written(yard)).toEqual({ metadata: 0, data: 0 });
  });

  test('gives clusters back when they are unmapped whole, in a full store too', (yard) => {
    const { store, channel } = yard;
    const free = store.freeClusterCount;
    const blob = yard.make({ clusterCount: free + 1, thin: true });
    for (let cluster = 0; cluster < free; cluster++) yard.write(blob, cluster * PER_CLUSTER, 1, 1);
    expect(store.freeClusterCount).toBe(0);
    expect(codeOf(() => yard.write(blob, free * PER_CLUSTER, 1, 1))).toBe('ENOSPC');
    channel.unmapSync(blob, 0, 1); // a part of a cluster frees nothing
    channel.unmapSync(blob, 5 * PER_CLUSTER + 10, PER_CLUSTER); // nor do parts of two clusters
    yard.sync(blob);
    expect(store.freeClusterCount).toBe(0);
    channel.unmapSync(blob, 5 * PER_CLUSTER + 10, 2 * PER_CLUSTER); // of three clusters, one is unmapped as a whole
    channel.unmapSync(blob, 20 * PER_CLUSTER, 3 * PER_CLUSTER);
    yard.sync(blob);
    expect(store.freeClusterCount).toBe(4);
    expect(blob.map.allocatedCount).toBe(free - 4);
    channel.unmapSync(blob, 20 * PER_CLUSTER, 3 * PER_CLUSTER); // a second unmap does nothing
    yard.write(blob, free * PER_CLUSTER, 1, 7);
    yard.expectContent(blob, free * PER_CLUSTER, 1, 7);
    yard.expectContent(blob, free * PER_CLUSTER + 1, PER_CLUSTER - 1, 0);
    yard.expectContent(blob, 20 * PER_CLUSTER, 3 * PER_CLUSTER, 0);
    yard.sync(blob);
    expect(store.freeClusterCount).toBe(3);
  });

  test('allocates an unmapped cluster again only after the unmap has ended', async (yard) => {
    const { store } = yard;
    const free = store.freeClusterCount;
    const blob = yard.make({ clusterCount: free + 1, thin: true });
    for (let cluster = 0; cluster < free; cluster++) yard.write(blob, cluster * PER_CLUSTER, 1, 1);
    yard.sync(blob);
    const [unmapper, writer] = [store.openChannel(), store.openChannel()];
    await yard.later(async () => {
      const gate = yard.device.gate('unmap', 1);
      const unmap = unmapper.unmap(blob, 0, PER_CLUSTER);
      await gate.reached;
      expect(store.freeClusterCount).toBe(0);
      const write = writer.write(blob, yard.payload(2, 1), free * PER_CLUSTER, 1); // waits: the blob is frozen
      expect(await isSettled(write)).toBe(false);
      expect(store.freeClusterCount).toBe(0);
      gate.release();
      await unmap;
      await write;
    });
    yard.expectContent(blob, free * PER_CLUSTER, 1, 2);
    yard.expectContent(blob, free * PER_CLUSTER + 1, PER_CLUSTER - 1, 0);
    yard.expectContent(blob, 0, PER_CLUSTER, 0);
  });

  test('records a hole and a cluster behind it, and finds both again', (yard) => {
    const blob = yard.make({ clusterCount: 5, thin: true });
    yard.write(blob, PER_CLUSTER, 1, 3);
    yard.sync(blob);
    const cluster = blob.clusterAt(1);
    const runs = chainDescriptors(yard, pageOfBlobId(blob.id)).filter(({ type }) => type === DESCRIPTOR.EXTENT_RLE);
    const expected = [0, 1, cluster, 1, 0, 3];
    expect(runs.map(({ payload }) => wordsOf(payload))).toEqual(yard.configuration.useExtentTable ? [] : [expected]);
    yard.reload();
    const again = yard.open(blob.id);
    expect([0, 1, 2, 3, 4].map((index) => again.clusterAt(index))).toEqual([0, cluster, 0, 0, 0]);
    yard.expectContent(again, 0, PER_CLUSTER, 0);
    yard.expectContent(again, PER_CLUSTER, 1, 3);
  });

  test('moves scatter lists over holes', (yard) => {
    const blob = yard.make({ clusterCount: 5, thin: true });
    const found = new Uint8Array(12 * 4096).fill(0xa5);
    const cut = (bytes: Uint8Array) => [bytes.subarray(0, 4096), bytes.subarray(4096, 30000), bytes.subarray(30000)];
    yard.channel.readvSync(blob, cut(found), 250, 12);
    expect(found.every((byte) => byte === 0)).toBe(true);
    expect(blob.map.allocatedCount).toBe(0);
    yard.channel.writevSync(blob, cut(yard.payload(6, 12)), 250, 12);
    expect(blob.map.allocatedCount).toBe(2);
    yard.channel.readvSync(blob, cut(found), 250, 12);
    expect(Buffer.from(found).equals(Buffer.from(yard.payload(6, 12)))).toBe(true);
    yard.expectContent(blob, 0, 250, 0);
    yard.expectContent(blob, 262, 250, 0);
  });

  test('finds the next allocated and the next unallocated io unit', (yard) => {
    const { store } = yard;
    const blob = yard.make({ clusterCount: 6, thin: true });
    expect(store.nextAllocated(blob, 0)).toBeUndefined();
    expect(store.nextUnallocated(blob, 7)).toBe(7);
    yard.write(blob, PER_CLUSTER, 1, 1);
    yard.write(blob, 2 * PER_CLUSTER + 5, 1, 1);
    yard.write(blob, 5 * PER_CLUSTER, 1, 1);
    expect(store.nextAllocated(blob, 0)).toBe(PER_CLUSTER);
    expect(store.nextAllocated(blob, PER_CLUSTER + 3)).toBe(PER_CLUSTER + 3);
    expect(store.nextUnallocated(blob, PER_CLUSTER)).toBe(3 * PER_CLUSTER);
    expect(store.nextAllocated(blob, 3 * PER_CLUSTER + 1)).toBe(5 * PER_CLUSTER);
    expect(store.nextUnallocated(blob, 5 * PER_CLUSTER)).toBeUndefined();
    expect(store.nextAllocated(blob, 6 * PER_CLUSTER)).toBeUndefined();
  });
});
