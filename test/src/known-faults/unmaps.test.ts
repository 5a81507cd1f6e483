/**
 * Known faults of the specification: unmaps, extent pages, and concurrent changes. Each test is named after its row.
 */

import { expect } from 'vitest';
import { ExternalSource } from '../peer/external-source.js';
import { codeOf, codeOfLater, eachConfiguration, PER_CLUSTER, type Yard } from '../peer/fixture.js';
import { descriptorsOf } from '../peer/raw-page.js';

const THROUGH = { store: { durability: 'process-crash' } } as const;
const SMALL_CLUSTERS = { store: { clusterBytes: 16 * 1024, mdPageCount: 300 } } as const;
const SMALL_CLUSTERS_THROUGH = { store: { ...SMALL_CLUSTERS.store, ...THROUGH.store } } as const;

function clustersOf(yard: Yard, id: bigint): number[] {
  const blob = yard.open(id);
  const clusters = Array.from({ length: blob.clusterCount }, (_, index) => blob.clusterAt(index));
  yard.close(blob);
  return clusters;
}

eachConfiguration((test) => {
  test('cluster-aligned unmap on a clone or esnap clone', (yard) => {
    const original = yard.make({ clusterCount: 3 });
    yard.write(original, 0, 3 * PER_CLUSTER, 1);
    yard.snapshot(original);
    yard.write(original, PER_CLUSTER, 1, 2);
    const { usage } = yard;
    yard.channel.unmapSync(original, 0, 3 * PER_CLUSTER);
    yard.expectContent(original, PER_CLUSTER, PER_CLUSTER, 0); // and not the old data of the snapshot
    yard.expectContent(original, 0, PER_CLUSTER, 1); // an unmap of a cluster that is not allocated does nothing
    yard.sync(original);
    expect(yard.usage.freeClusters).toBe(usage.freeClusters);
    expect(original.map.allocatedCount).toBe(1);
    const thin = yard.make({ clusterCount: 2, thin: true });
    yard.write(thin, 0, 1, 1);
    yard.channel.unmapSync(thin, 0, PER_CLUSTER);
    yard.sync(thin);
    expect([thin.map.allocatedCount, yard.usage.freeClusters]).toEqual([0, usage.freeClusters]);
  });

  const source = new ExternalSource(2 ** 21);
  test(
    'cluster-aligned unmap on an esnap clone',
    (yard) => {
      const blob = yard.make({ clusterCount: 2, externalSnapshotId: Uint8Array.of(3) });
      yard.write(blob, 0, 1, 1);
      const { freeClusterCount } = yard.store;
      yard.channel.unmapSync(blob, 0, 2 * PER_CLUSTER);
      yard.expectContent(blob, 0, PER_CLUSTER, 0);
      yard.sync(blob);
      expect([yard.store.freeClusterCount, blob.map.allocatedCount]).toEqual([freeClusterCount, 1]);
      yard.reload();
      yard.expectContent(yard.open(blob.id), 0, PER_CLUSTER, 0);
    },
    { store: { openExternalSnapshot: source.open } },
  );

  test('unmap while a locked operation (inflate…) runs', async (yard) => {
    const blob = yard.make({ clusterCount: 4, thin: true });
    for (const cluster of [0, 1]) yard.write(blob, cluster * PER_CLUSTER, PER_CLUSTER, 1);
    yard.snapshot(blob);
    yard.write(blob, 0, 1, 2);
    const over = yard.make({ clusterCount: 4, thin: true }); // a thin blob without a parent
    yard.write(over, 0, PER_CLUSTER, 1);
    yard.sync(over);
    const [inflater, other] = [yard.store.openChannel(), yard.store.openChannel()];
    await yard.later(async () => {
      const stop = yard.device.gate(yard.configuration.canCopy ? 'copy' : 'read', 1);
      const inflating = yard.run(yard.store.inflateBlob(inflater, blob.id));
      await stop.reached;
      const unmap = other.unmap(blob, 0, PER_CLUSTER);
      stop.release();
      await Promise.all([inflating, unmap]);
      // Without a parent, inflating copies nothing. It waits when it writes its metadata, or drains the blob.
      const write = yard.device.gate('write', 1);
      const slow = other.write(over, yard.payload(1, 1), PER_CLUSTER + 5, 1);
      await write.reached;
      const second = yard.run(yard.store.inflateBlob(inflater, over.id));
      const dropped = yard.store.openChannel().unmap(over, 0, PER_CLUSTER);
      write.release();
      await Promise.all([slow, second, dropped]);
    });
    for (const each of [blob, over]) {
      expect([each.isThin, each.map.allocatedCount]).toEqual([false, 4]);
      yard.expectContent(each, 0, PER_CLUSTER, 0);
    }
    yard.expectContent(blob, PER_CLUSTER, PER_CLUSTER, 1);
  });

  for (const [durability, options] of [
    ['power-loss', {}],
    ['process-crash', THROUGH],
  ] as const) {
    test(
      `two unmaps of one cluster at once (${durability})`,
      async (yard) => {
        const { store } = yard;
        const blob = yard.make({ clusterCount: 3, thin: true });
        yard.write(blob, 0, 2 * PER_CLUSTER, 1);
        yard.sync(blob);
        const free = store.freeClusterCount;
        const channels = [store.openChannel(), store.openChannel(), store.openChannel()];
        await yard.later(async () => {
          const gates = [1, 2].map((k) => yard.device.gate('unmap', k));
          const unmaps = channels.map((channel) => channel.unmap(blob, 0, PER_CLUSTER));
          await gates[0].reached;
          for (const gate of gates) gate.release();
          await Promise.all(unmaps);
        });
        yard.sync(blob);
        expect([blob.map.allocatedCount, store.freeClusterCount]).toEqual([1, free + 1]);
        yard.expectContent(blob, 0, PER_CLUSTER, 0);
      },
      options,
    );
  }

  test(
    'last cluster of an extent page unmapped',
    async (yard) => {
      const blob = yard.make({ clusterCount: 600, thin: true });
      yard.write(blob, 0, 1, 1);
      yard.write(blob, 599 * 4, 1, 1);
      yard.sync(blob);
      const { usage } = yard;
      yard.channel.unmapSync(blob, 599 * 4, 4);
      yard.sync(blob);
      expect(yard.usage).toEqual({ usedPages: usage.usedPages, freeClusters: usage.freeClusters + 1 }); // the page stays
      const [unmapper, writer] = [yard.store.openChannel(), yard.store.openChannel()];
      await yard.later(async () => {
        const gate = yard.device.gate('unmap', 1);
        const unmap = unmapper.unmap(blob, 0, 4); // the last cluster of the first extent page
        await gate.reached;
        const write = writer.write(blob, yard.payload(2, 1), 4, 1); // allocates a cluster in that page
        gate.release();
        await Promise.all([unmap, write]);
      });
      yard.sync(blob);
      expect(yard.usage).toEqual({ usedPages: usage.usedPages, freeClusters: usage.freeClusters + 1 });
      yard.crash();
      const again = yard.open(blob.id);
      yard.expectContent(again, 0, 4, 0);
      yard.expectContent(again, 4, 1, 2);
      yard.resize(again, 512);
      yard.sync(again);
      expect(yard.usage.usedPages).toBe(usage.usedPages - (yard.configuration.useExtentTable ? 1 : 0));
    },
    SMALL_CLUSTERS,
  );

  test(
    'extent-page buffer not zeroed',
    (yard) => {
      const blob = yard.make({ clusterCount: 1024 });
      yard.resize(blob, 5);
      yard.sync(blob);
      const pages = blob.extentPageNumbers();
      expect(pages).toHaveLength(yard.configuration.useExtentTable ? 1 : 0);
      for (const page of pages) {
        const bytes = yard.peek(yard.mdPageOffset(page), 4096);
        expect(descriptorsOf(bytes)).toHaveLength(1);
        expect(bytes.subarray(16 + 5 + 4 + 5 * 4, 4088).every((byte) => byte === 0)).toBe(true);
      }
      yard.crash();
      expect(yard.open(blob.id).clusterCount).toBe(5);
    },
    SMALL_CLUSTERS,
  );

  test(
    'one metadata buffer shared by allocation and release, or by parallel releases',
    async (yard) => {
      const { store } = yard;
      const [first, second] = [
        yard.make({ clusterCount: 1024, thin: true }),
        yard.make({ clusterCount: 600, thin: true }),
      ];
      for (const blob of [first, second]) for (const cluster of [0, 1, 513]) yard.write(blob, cluster * 4, 1, 1);
      const channels = [1, 2, 3, 4].map(() => store.openChannel());
      await yard.later(async () => {
        const gates = [1, 2, 3].map((k) => yard.device.gate('write', k));
        const operations = [
          channels[0].unmap(first, 0, 4),
          channels[1].unmap(second, 513 * 4, 4),
          channels[2].unmap(second, 0, 4),
          channels[3].write(first, yard.payload(2, 1), 700 * 4, 1),
        ];
        await gates[0].reached;
        for (const gate of gates) gate.release();
        await Promise.all(operations);
      });
      const expected = [first, second].map((blob) =>
        Array.from({ length: blob.clusterCount }, (_, at) => blob.clusterAt(at)),
      );
      yard.crash();
      expect([first, second].map(({ id }) => clustersOf(yard, id))).toEqual(expected);
      expect(expected[0].flatMap((cluster, at) => (cluster === 0 ? [] : [at]))).toEqual([1, 513, 700]);
      expect(expected[1].flatMap((cluster, at) => (cluster === 0 ? [] : [at]))).toEqual([1]);
    },
    SMALL_CLUSTERS_THROUGH,
  );

  test(
    'parallel updates of one extent page',
    async (yard) => {
      const { store } = yard;
      const blob = yard.make({ clusterCount: 64, thin: true });
      yard.write(blob, 0, 1, 1);
      const clusters = [5, 6, 7, 8, 9, 10];
      const channels = clusters.map(() => store.openChannel());
      yard.recorder.take();
      await yard.later(async () => {
        const gate = yard.device.gate('write', 1); // the first update, which must not overwrite later ones
        const writes = clusters.map((cluster, at) => channels[at].write(blob, yard.payload(2, 1), cluster * 4, 1));
        await gate.reached;
        gate.release();
        await Promise.all(writes);
      });
      const dataFrom = store.geometry.metadataClusterCount() * store.geometry.blocksPerCluster;
      const updates = yard.recorder.take().filter(({ kind, lba }) => kind === 'write' && lba < dataFrom);
      expect(updates.length).toBeLessThanOrEqual(2); // the first, and one for all the others
      const expected = Array.from({ length: 64 }, (_, at) => blob.clusterAt(at));
      yard.crash();
      expect(clustersOf(yard, blob.id)).toEqual(expected);
      for (const cluster of clusters) yard.expectContent(yard.open(blob.id), cluster * 4, 1, 2);
    },
    SMALL_CLUSTERS_THROUGH,
  );

  test(
    'cluster released although its metadata write failed',
    (yard) => {
      const blob = yard.make({ clusterCount: 3, thin: true });
      yard.write(blob, 0, 2 * PER_CLUSTER, 1);
      const free = yard.store.freeClusterCount;
      yard.device.failAt(1, { kind: 'write' });
      expect(codeOf(() => yard.channel.unmapSync(blob, 0, PER_CLUSTER))).toBe('EIO');
      expect([blob.map.allocatedCount, yard.store.freeClusterCount]).toEqual([2, free]);
      yard.expectContent(blob, 0, PER_CLUSTER, 0);
      const other = yard.make({ clusterCount: 2 });
      expect(clustersOf(yard, other.id)).not.toContain(blob.clusterAt(0));
      yard.write(blob, 0, 1, 4);
      yard.channel.unmapSync(blob, 0, PER_CLUSTER);
      expect([blob.map.allocatedCount, yard.store.freeClusterCount]).toEqual([1, free - 2 + 1]);
    },
    THROUGH,
  );

  test('freeze', async (yard) => {
    const { store, channel } = yard;
    const blob = yard.make({ clusterCount: 4 });
    yard.write(blob, 0, 4 * PER_CLUSTER, 1);
    const id = await yard.later(async () => {
      const gate = yard.device.gate('write', 1);
      const write = channel.write(blob, yard.payload(2, 1), 7, 1); // under way when the snapshot is started
      await gate.reached;
      const making = yard.run(store.createSnapshot(blob.id));
      const refused = codeOfLater(yard.run(store.resizeBlob(blob, 9)));
      gate.release();
      await write;
      expect(await refused).toBe('EBUSY');
      return making;
    });
    const snapshot = yard.open(id);
    yard.expectContent(snapshot, 7, 1, 2); // the write was in the blob before the snapshot was made
    yard.write(blob, 7, 1, 3);
    yard.expectContent(snapshot, 7, 1, 2);
  });

  test('thin resize, write, crash, without sync', (yard) => {
    for (const through of [false, true]) {
      const blob = yard.make({ clusterCount: 2, thin: true });
      yard.write(blob, 0, 1, 1);
      yard.sync(blob);
      yard.resize(blob, 700);
      yard.write(blob, PER_CLUSTER, 1, 2);
      yard.write(blob, 600 * PER_CLUSTER, 1, 3);
      if (through) yard.sync(blob);
      yard.crash();
      expect(yard.store.damaged).toEqual([]);
      const again = yard.open(blob.id);
      expect([2, 700]).toContain(again.clusterCount);
      if (through) expect(again.clusterCount).toBe(700);
      yard.expectContent(again, 0, 1, 1);
      if (again.clusterCount === 700) yard.expectContent(again, 600 * PER_CLUSTER, 1, 3);
      yard.closeAll();
      yard.delete(blob.id);
      expect(yard.store.freeClusterCount).toBe(yard.store.dataClusterCount);
    }
  });

  test(
    'thin resize, write, crash, without sync (written through)',
    (yard) => {
      const blob = yard.make({ clusterCount: 2, thin: true });
      yard.resize(blob, 700);
      yard.write(blob, PER_CLUSTER, 1, 2);
      yard.write(blob, 600 * PER_CLUSTER, 1, 3);
      yard.resize(blob, 300);
      yard.crash();
      expect(yard.store.damaged).toEqual([]);
      const again = yard.open(blob.id);
      expect([2, 300, 700]).toContain(again.clusterCount);
      yard.expectContent(again, PER_CLUSTER, 1, 2);
    },
    THROUGH,
  );
});
