/** Known faults of the specification: loading, damage and dumps. Each test is named after its row. */

import { Blobstore, BlobstoreError, dumpStore, pageOfBlobId, runSync, SuperBlock } from '@blobyard/core';
import { SparseMemoryDevice } from '@blobyard/io';
import { describe, expect, it } from 'vitest';
import { codeOf, codeOfLoad, eachConfiguration, Yard } from '../peer/fixture.js';
import { flipCrc } from '../peer/raw-page.js';

const MD_PAGE_BYTES_AT = 92;

function superOf(yard: Yard): SuperBlock {
  return new SuperBlock(yard.peek(0, 4096));
}

function editSuper(yard: Yard, edit: (view: DataView) => void): void {
  yard.poke(0, (bytes) => {
    edit(new DataView(bytes.buffer, bytes.byteOffset));
    new SuperBlock(bytes).seal();
  });
}

function errorOf(operation: () => unknown): BlobstoreError {
  try {
    operation();
  } catch (error) {
    if (error instanceof BlobstoreError) return error;
    throw error;
  }
  throw new Error('the operation has not failed');
}

function dumpOf(device: SparseMemoryDevice): string {
  const pieces: string[] = [];
  runSync(dumpStore(device, (text) => pieces.push(text)));
  return pieces.join('');
}

eachConfiguration((test) => {
  for (const pages of [3, 5, 12]) {
    test(
      `store of clusters that are not a power of two pages, loaded with default options (${pages})`,
      (yard) => {
        const perCluster = pages;
        const blob = yard.make({ clusterCount: 600 });
        const thin = yard.make({ clusterCount: 600, thin: true });
        for (const cluster of [0, 1, 7, 599]) {
          yard.write(blob, cluster * perCluster, perCluster, cluster + 1);
          yard.write(thin, cluster * perCluster + 1, 1, cluster + 2);
        }
        const snapshot = yard.snapshot(thin);
        for (const how of ['reload', 'crash'] as const) {
          yard[how]();
          const [again, thinAgain] = [yard.open(blob.id), yard.open(thin.id)];
          for (const cluster of [0, 1, 7, 599]) {
            yard.expectContent(again, cluster * perCluster, perCluster, cluster + 1);
            yard.expectContent(thinAgain, cluster * perCluster + 1, 1, cluster + 2);
            yard.expectContent(thinAgain, cluster * perCluster, 1, 0);
          }
        }
        yard.write(yard.open(thin.id), 7 * perCluster, 1, 40);
        yard.expectContent(yard.open(snapshot), 7 * perCluster, 1, 0);
        yard.expectContent(yard.open(blob.id), 7 * perCluster, perCluster, 8);
      },
      { store: { clusterBytes: pages * 4096, mdPageCount: 64 } },
    );
  }

  test('dump of something that is no store', (yard) => {
    const empty = new SparseMemoryDevice({ sizeBytes: 2 ** 24 });
    expect(codeOf(() => dumpOf(empty))).toBe('EILSEQ');
    yard.do(yard.store.destroy());
    expect(codeOf(() => dumpOf(yard.memory))).toBe('EILSEQ');
  });

  test('one entry too many in extent pages', (yard) => {
    if (!yard.configuration.useExtentTable) return;
    const blob = yard.make({ clusterCount: 5 });
    const clusters = Array.from({ length: 5 }, (_, index) => blob.clusterAt(index));
    yard.closeAll();
    yard.unload();
    const text = dumpOf(yard.memory);
    const listed = [...text.matchAll(/^\s*(Unallocated Extent|Allocated Extent - Start: (\d+))$/gm)];
    expect(listed.map(([, , cluster]) => Number(cluster))).toEqual(clusters);
    yard.load();
  });

  test('masks longer than their region', (yard) => {
    yard.create({ clusterCount: 3 });
    yard.unload();
    const block = superOf(yard);
    for (const { start } of [block.pageMask, block.clusterMask, block.blobIdMask]) {
      const length = (value: number) =>
        yard.poke(start * 4096, (bytes) => new DataView(bytes.buffer, bytes.byteOffset).setUint32(1, value, true));
      length(0xffff_ffff);
      expect(codeOfLoad(yard.device)).toBe('EILSEQ');
      length(64);
      expect(codeOfLoad(yard.device)).toBe('ok');
    }
    yard.load({ forceRecover: true });
  });

  test('read error on the super block or a mask', (yard) => {
    yard.create({ clusterCount: 3 });
    yard.unload();
    for (let read = 1; read <= 4; read++) {
      yard.device.failAt(read, { kind: 'read' });
      expect(codeOfLoad(yard.device), `read ${read}`).toBe('EIO'); // super block, used pages, used clusters, blob ids
      yard.device.clearFaults();
    }
    yard.load();
    yard.device.failAt(1, { kind: 'read' });
    expect(codeOf(() => yard.create())).toBe('EIO'); // the store must first be marked as dirty on disk
    yard.create();
    yard.device.failAt(1, { kind: 'read' });
    expect(codeOf(() => yard.do(yard.store.growLive()))).toBe('EIO');
  });

  test('a damaged blob: load reports each', (yard) => {
    const ids = [0, 1, 2, 3].map(() => yard.create({ clusterCount: 2 }));
    yard.unload();
    yard.load();
    flipCrc(yard, pageOfBlobId(ids[1]));
    flipCrc(yard, pageOfBlobId(ids[3]));
    yard.unload();
    yard.load();
    expect(yard.store.damaged.map(({ id, page, error }) => [id, page, error.code])).toEqual(
      [1, 3].map((at) => [ids[at], pageOfBlobId(ids[at]), 'EINVAL']),
    );
    expect(yard.open(ids[2]).clusterCount).toBe(2);
    yard.leavesDamage = true;
  });

  test(
    'a damaged blob: recovery refuses naming pages and blobs, or sets it aside and keeps what it has',
    (yard) => {
      const [good, bad] = [yard.make(), yard.make()];
      for (let count = 1; count <= 600; count++) for (const blob of [good, bad]) yard.resize(blob, count); // many runs
      yard.write(good, 0, 600 * 4, 1);
      for (const blob of [good, bad]) yard.sync(blob);
      const [page] = yard.configuration.useExtentTable ? [bad.map.extentPages.get(1)] : bad.chain.slice(1);
      const found = Array.from({ length: 400 }, (_, index) => bad.clusterAt(index)); // the clusters in the pages before
      const free = yard.store.freeClusterCount;
      flipCrc(yard, page);
      yard.abandon();
      const error = errorOf(() => runSync(Blobstore.load(yard.device)));
      expect(error.code).toBe('EILSEQ');
      expect(error.message).toContain(`page ${page}`);
      expect(error.message).toContain(`blob ${bad.id}`);
      yard.load({ onDamage: 'set-aside' });
      expect(yard.store.damaged.map(({ id }) => id)).toEqual([bad.id]);
      yard.expectContent(yard.open(good.id), 0, 600 * 4, 1);
      expect(codeOf(() => yard.open(bad.id))).toBe('EINVAL');
      expect(codeOf(() => yard.delete(bad.id))).toBe('EINVAL');
      const { freeClusterCount } = yard.store;
      expect(freeClusterCount).toBeLessThanOrEqual(free + 200);
      const others = yard.make({ clusterCount: freeClusterCount });
      const taken = new Set(Array.from({ length: freeClusterCount }, (_, index) => others.clusterAt(index) as number));
      expect(found.filter((cluster) => taken.has(cluster))).toEqual([]);
      expect(others.id).not.toBe(bad.id); // its pages are kept too
      yard.leavesDamage = true;
    },
    { store: { clusterBytes: 16 * 1024 } },
  );

  test('metadata page size (u32 at byte 92 of the super block, newer stores)', (yard) => {
    const recorded = () => new DataView(yard.peek(0, 4096).slice().buffer).getUint32(MD_PAGE_BYTES_AT, true);
    expect(recorded()).toBe(4096);
    yard.create({ clusterCount: 2 });
    yard.unload();
    expect(recorded()).toBe(4096);
    editSuper(yard, (view) => view.setUint32(MD_PAGE_BYTES_AT, 0, true));
    yard.load();
    yard.create();
    yard.unload();
    expect(recorded()).toBe(0); // an older super block is not changed
    for (const [other, code] of [
      [512, 'EILSEQ'],
      [8192, 'ENOTSUP'],
      [12_288, 'EILSEQ'],
      [16_384, 'ENOTSUP'],
    ] as const) {
      editSuper(yard, (view) => view.setUint32(MD_PAGE_BYTES_AT, other, true));
      const error = errorOf(() => runSync(Blobstore.load(yard.device)));
      expect([error.code, error.message.includes(String(other))]).toEqual([code, true]);
    }
    editSuper(yard, (view) => view.setUint32(MD_PAGE_BYTES_AT, 4096, true));
    yard.load();
    yard.unload();
    yard.use(runSync(Blobstore.init(yard.device, { recordMdPageSize: false })));
    expect(recorded()).toBe(0);
  });
});

describe('a new store', () => {
  it('has its metadata page size in the super block unless told otherwise', () => {
    expect(superOf(new Yard()).mdPageBytes).toBe(4096);
    expect(superOf(new Yard(undefined, { store: { recordMdPageSize: false } })).mdPageBytes).toBe(0);
  });
});
