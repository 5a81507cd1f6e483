/**
 * Known faults of the specification: writing metadata, sizes, and running out of room. Each test is named after its
 * row.
 */

import { pageOfBlobId } from '@blobyard/core';
import { describe, expect, it } from 'vitest';
import { CONFIGURATIONS, codeOf, codeOfLater, eachConfiguration, PER_CLUSTER, Yard } from '../peer/fixture.js';

const TERABYTES_64 = 64 * 2 ** 40;

eachConfiguration((test) => {
  test(
    'sync without free metadata pages',
    (yard) => {
      const blob = yard.make();
      const filler = yard.make();
      const fill = yard.usage.usedPages;
      for (let made = fill; made < 8; made++) yard.create();
      yard.store.setXattr(blob, 'a', new Uint8Array(3000).fill(1));
      yard.store.setXattr(blob, 'b', new Uint8Array(3000).fill(2));
      expect(codeOf(() => yard.sync(blob))).toBe('ENOSPC');
      expect(codeOf(() => yard.sync(blob))).toBe('ENOSPC'); // still dirty
      expect(codeOf(() => yard.close(blob))).toBe('ENOSPC');
      yard.adopt(blob);
      yard.close(filler);
      yard.delete(filler.id);
      yard.sync(blob);
      yard.crash();
      expect(yard.store.xattrNames(yard.open(blob.id))).toEqual(['a', 'b']);
    },
    { store: { mdPageCount: 8 } },
  );

  test(
    'thick create or resize without enough metadata pages',
    (yard) => {
      if (!yard.configuration.useExtentTable) return; // a blob mapped by runs needs no further pages before its sync
      const blob = yard.make({ clusterCount: 10 });
      const { usage } = yard;
      expect(codeOf(() => yard.create({ clusterCount: 2000 }))).toBe('ENOSPC'); // a root and four extent pages
      expect(yard.usage).toEqual(usage);
      expect(codeOf(() => yard.resize(blob, 2000))).toBe('ENOSPC'); // three more extent pages
      expect([blob.clusterCount, blob.map.allocatedCount, yard.usage]).toEqual([10, 10, usage]);
      yard.resize(blob, 1024 + 512);
      yard.sync(blob);
      expect(Array.from({ length: 1536 }, (_, at) => blob.clusterAt(at)).every((cluster) => cluster !== 0)).toBe(true);
      expect(blob.extentPageNumbers()).toHaveLength(3);
      expect(codeOf(() => yard.resize(blob, 1537))).toBe('ENOSPC');
      yard.write(blob, 1535 * 4, 4, 1);
      yard.crash();
      yard.expectContent(yard.open(blob.id), 1535 * 4, 4, 1);
    },
    { store: { clusterBytes: 16 * 1024, mdPageCount: 4 } },
  );

  test('allocated count after shrinking and growing without sync', (yard) => {
    for (const thin of [false, true]) {
      const blob = yard.make({ clusterCount: 8, thin });
      yard.write(blob, 6 * PER_CLUSTER, 1, 1);
      const count = thin ? 1 : 8;
      expect(blob.map.allocatedCount).toBe(count);
      yard.resize(blob, 3);
      expect(blob.map.allocatedCount).toBe(thin ? 0 : 3);
      yard.resize(blob, 8);
      expect(blob.map.allocatedCount).toBe(count);
      yard.store.verify();
      yard.sync(blob);
      expect(blob.map.allocatedCount).toBe(count);
      yard.close(blob);
      yard.delete(blob.id);
      expect(yard.store.freeClusterCount).toBe(yard.store.dataClusterCount);
    }
  });

  test('set_read_only twice', (yard) => {
    const blob = yard.make({ clusterCount: 1 });
    for (let time = 0; time < 2; time++) {
      yard.store.setReadOnly(blob);
      yard.store.setReadOnly(blob);
      yard.sync(blob);
      expect(blob.isReadOnly).toBe(true);
    }
    yard.reload();
    const again = yard.open(blob.id);
    yard.store.setReadOnly(again);
    yard.sync(again);
    expect(again.isReadOnly).toBe(true);
  });

  test('an empty esnap id', (yard) => {
    const { usage } = yard;
    expect(codeOf(() => yard.create({ externalSnapshotId: new Uint8Array(0) }))).toBe('EINVAL');
    expect(codeOf(() => yard.create({ externalSnapshotId: new Uint8Array(70000) }))).toBe('EINVAL');
    expect(codeOf(() => yard.create({ externalSnapshotId: new Uint8Array(5000) }))).toBe('ENOMEM');
    expect(yard.usage).toEqual(usage);
  });

  test('errors inside a batch: the first error is kept', async (yard) => {
    const blob = yard.make();
    for (const name of ['a', 'b', 'c', 'd']) yard.store.setXattr(blob, name, new Uint8Array(3000).fill(1));
    const root = () => Buffer.from(yard.peek(yard.mdPageOffset(blob.page), 4096));
    const [before, { usage }] = [root(), yard];
    await yard.later(async () => {
      const gates = [1, 2, 3].map((k) => yard.device.gate('write', k)); // the chain but for its root, all under way at once
      yard.device.failAt(1, { kind: 'write', code: 'ENXIO' });
      yard.device.failAt(2, { kind: 'write', code: 'EPERM' });
      const sync = yard.run(yard.store.syncBlob(blob));
      await Promise.all(gates.map((gate) => gate.reached));
      for (const gate of gates) gate.release();
      expect(await codeOfLater(sync)).toBe('ENXIO'); // not the error of the second write, nor the success of the third
    });
    expect(root().equals(before)).toBe(true); // after a failed write of the chain the root is not written
    expect(yard.usage).toEqual(usage);
    yard.sync(blob);
    yard.crash();
    expect(yard.store.xattrNames(yard.open(blob.id))).toEqual(['a', 'b', 'c', 'd']);
  });

  test('delete: root and chain pages zeroed in one unordered batch', (yard) => {
    const blob = yard.make({ clusterCount: 3 });
    for (const name of ['a', 'b', 'c']) yard.store.setXattr(blob, name, new Uint8Array(3000).fill(1));
    yard.sync(blob);
    yard.close(blob);
    const rootLba = yard.mdPageOffset(pageOfBlobId(blob.id)) / 4096;
    yard.recorder.take();
    yard.delete(blob.id);
    const changes = yard.recorder.take().filter(({ kind }) => kind !== 'read');
    expect(changes[0]).toEqual({ kind: 'writeZeroes', lba: rootLba, blockCount: 1 });
    expect(changes[1].kind).toBe('flush');
    const rest = changes.slice(2);
    expect(rest.filter(({ kind }) => kind === 'writeZeroes').length).toBeGreaterThan(2);
  });

  test('clusters taken anew show nothing of what a deleted blob had', (yard) => {
    const blob = yard.make({ clusterCount: 63 });
    yard.write(blob, 0, 63 * PER_CLUSTER, 1);
    yard.close(blob);
    yard.delete(blob.id);
    yard.expectContent(yard.make({ clusterCount: 63 }), 0, 63 * PER_CLUSTER, 0);
  });
});

describe.each(CONFIGURATIONS)('device copy $canCopy, extent table $useExtentTable', (configuration) => {
  it('a device address in a 32-bit field; page numbers in 32 bits', () => {
    const yard = new Yard(configuration, {
      deviceBytes: TERABYTES_64,
      blockLengthBytes: 512,
      store: { clusterBytes: 2 ** 30, mdPageCount: 4096 },
    });
    const { store } = yard;
    const { blocksPerCluster, ioUnitsPerCluster: perCluster } = store.geometry;
    const free = store.freeClusterCount;
    const low = yard.make({ clusterCount: 1 });
    yard.write(low, 0, 8, 1);
    const most = yard.make({ clusterCount: free - 3 });
    const high = yard.make({ clusterCount: 2, thin: true });
    yard.write(high, perCluster - 4, 8, 2); // both of the last clusters
    expect(store.freeClusterCount).toBe(0);
    expect(high.clusterAt(1) * blocksPerCluster).toBeGreaterThan(2 ** 32);
    expect((high.clusterAt(1) * blocksPerCluster * 512) / 4096).toBeGreaterThan(2 ** 32);
    yard.expectContent(high, perCluster - 4, 8, 2);
    yard.channel.unmapSync(most, (free - 10) * perCluster, perCluster);
    yard.close(most);
    yard.delete(most.id);
    const snapshot = yard.open(yard.snapshot(high));
    const clone = yard.open(yard.clone(snapshot.id));
    yard.expectContent(clone, perCluster - 4, 8, 2);
    yard.close(clone, snapshot);
    yard.delete(clone.id);
    yard.delete(snapshot.id);
    yard.expectContent(high, perCluster - 4, 8, 2);
    yard.expectContent(low, 0, 8, 1); // an address cut to 32 bits would have led to this blob
    yard.crash();
    yard.expectContent(yard.open(high.id), perCluster - 4, 8, 2);
    const last = yard.open(high.id);
    yard.resize(last, 0);
    yard.sync(last);
    yard.expectContent(yard.open(low.id), 0, 8, 1);
    expect(yard.store.freeClusterCount).toBe(free - 1);
    yard.reload();
    yard.expectContent(yard.open(low.id), 0, 8, 1);
    yard.finish();
  });
});
