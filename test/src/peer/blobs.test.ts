/** Creating, opening, deleting and listing of blobs. */

import { pageOfBlobId } from '@blobyard/core';
import { expect } from 'vitest';
import { codeOf, eachConfiguration, isSettled, type Yard } from './fixture.js';
import { chainDescriptors, DESCRIPTOR, wordsOf } from './raw-page.js';

function idsByIteration(yard: Yard): bigint[] {
  const ids: bigint[] = [];
  yard.do(yard.store.iterate((blob) => ids.push(blob.id)));
  return ids;
}

eachConfiguration((test) => {
  test('opens a blob twice as one handle with two references', (yard) => {
    const id = yard.create();
    const first = yard.open(id);
    const second = yard.open(id);
    expect(second).toBe(first);
    expect(first.openRefs).toBe(2);
    yard.close(first);
    expect(codeOf(() => yard.do(yard.store.unload()))).toBe('EBUSY');
    yard.close(second);
    expect(codeOf(() => yard.do(yard.store.closeBlob(second)))).toBe('EBADF');
    const third = yard.open(id);
    expect(third).not.toBe(first);
    expect(third.openRefs).toBe(1);
  });

  test('gives two opens in flight one handle', async (yard) => {
    const id = yard.create({ clusterCount: 3 });
    const [first, second] = await yard.later(async () => {
      const gate = yard.device.gate('read', 1);
      const opens = [yard.run(yard.store.openBlob(id)), yard.run(yard.store.openBlob(id))];
      await gate.reached;
      expect(await isSettled(Promise.race(opens)), 'one of them loads it, and the other waits').toBe(false);
      gate.release();
      return Promise.all(opens);
    });
    expect(yard.adopt(first)).toBe(yard.adopt(second));
    expect(first.openRefs).toBe(2);
    yard.store.verify();
  });

  test('creates blobs of 10 clusters, of none and by default, and none that does not fit', (yard) => {
    const free = yard.store.freeClusterCount;
    expect(yard.make({ clusterCount: 10 }).clusterCount).toBe(10);
    expect(yard.make({ clusterCount: 0 }).clusterCount).toBe(0);
    expect(yard.open(yard.do(yard.store.createBlob())).clusterCount).toBe(0);
    expect(yard.store.freeClusterCount).toBe(free - 10);
    const { usage } = yard;
    expect(codeOf(() => yard.create({ clusterCount: 64 }))).toBe('ENOSPC');
    expect(yard.usage).toEqual(usage);
  });

  test('leaks neither pages nor clusters when blobs come and go', (yard) => {
    const { usage } = yard;
    const rounds = 4 * Math.max(yard.store.geometry.mdPageCount, usage.freeClusters);
    for (let round = 0; round < rounds; round++) yard.delete(yard.create({ clusterCount: 1 }));
    expect(yard.usage).toEqual(usage);
    const id = yard.create({ clusterCount: usage.freeClusters });
    yard.delete(id);
    expect(yard.usage).toEqual(usage);
  });

  test('frees page and id when a blob cannot be created', (yard) => {
    const kept = yard.create();
    const { usage } = yard;
    const bad = { clusterCount: 2, xattrs: { good: Uint8Array.of(1), empty: new Uint8Array(0) } };
    expect(codeOf(() => yard.create(bad))).toBe('EINVAL');
    expect(yard.usage).toEqual(usage);
    expect(yard.store.blobIds()).toEqual([kept]);
    expect(codeOf(() => yard.open(kept + 1n))).toBe('ENOENT');
    yard.reload();
    expect(codeOf(() => yard.open(kept + 1n))).toBe('ENOENT');
    expect(yard.usage).toEqual(usage);
    expect(yard.create()).toBe(kept + 1n);
  });

  test('gives blobs internal xattrs that users do not see', (yard) => {
    const original = yard.make({ clusterCount: 1, xattrs: { user: Uint8Array.of(1) } });
    const snapshot = yard.open(yard.snapshot(original, { user: Uint8Array.of(2) }));
    const clone = yard.open(yard.clone(snapshot.id, { user: Uint8Array.of(3) }));
    for (const [blob, value] of [
      [original, 1],
      [clone, 3],
    ] as const) {
      expect(blob.internalId('SNAP')).toBe(snapshot.id);
      expect(yard.store.xattrNames(blob)).toEqual(['user']);
      expect([...yard.store.getXattr(blob, 'user')]).toEqual([value]);
      expect(codeOf(() => yard.store.getXattr(blob, 'SNAP'))).toBe('ENOENT');
      expect(codeOf(() => yard.store.removeXattr(blob, 'SNAP'))).toBe('ENOENT');
    }
    expect(snapshot.internalXattrs.isEmpty).toBe(true);
    yard.reload();
    const again = yard.open(clone.id);
    expect(again.internalId('SNAP')).toBe(snapshot.id);
    expect(codeOf(() => yard.store.getXattr(again, 'SNAP'))).toBe('ENOENT');
  });

  test('writes an empty extent table for a blob without clusters', (yard) => {
    for (const thin of [false, true]) {
      const id = yard.create({ clusterCount: 0, thin });
      const descriptors = chainDescriptors(yard, pageOfBlobId(id));
      const tables = descriptors.filter(({ type }) => type === DESCRIPTOR.EXTENT_TABLE);
      expect(descriptors.filter(({ type }) => type === DESCRIPTOR.EXTENT_RLE)).toEqual([]);
      expect(tables.map(({ payload }) => wordsOf(payload))).toEqual(yard.configuration.useExtentTable ? [[0, 0]] : []);
      yard.crash();
      const blob = yard.open(id);
      expect(blob.usesExtentTable).toBe(yard.configuration.useExtentTable);
      expect(blob.clusterCount).toBe(0);
      yard.closeAll();
    }
  });

  test('does not know a deleted blob any more', (yard) => {
    const id = yard.create({ clusterCount: 2 });
    yard.delete(id);
    expect(codeOf(() => yard.open(id))).toBe('ENOENT');
    expect(codeOf(() => yard.delete(id))).toBe('ENOENT');
    const open = yard.make();
    expect(codeOf(() => yard.delete(open.id))).toBe('EBUSY');
    yard.reload();
    expect(codeOf(() => yard.open(id === open.id ? id + 1n : id))).toBe('ENOENT');
  });

  test('lists blobs: none, one, and no more after it', (yard) => {
    expect(yard.store.blobIds()).toEqual([]);
    expect(idsByIteration(yard)).toEqual([]);
    const id = yard.create();
    expect(yard.store.blobIds()).toEqual([id]);
    expect(idsByIteration(yard)).toEqual([id]);
    expect(yard.open(id).openRefs).toBe(1); // the iteration has closed the blobs that it opened
  });

  test(
    'makes a blob of all clusters where there are just enough metadata pages',
    (yard) => {
      const { freeClusterCount } = yard.store;
      expect(freeClusterCount).toBe(4092);
      const { usage } = yard;
      const other = yard.create();
      if (yard.configuration.useExtentTable) {
        expect(codeOf(() => yard.create({ clusterCount: freeClusterCount }))).toBe('ENOSPC'); // 8 extent pages and a root
        expect(yard.usage).toEqual({ ...usage, usedPages: usage.usedPages + 1 });
      }
      yard.delete(other);
      const blob = yard.make({ clusterCount: freeClusterCount });
      expect(yard.store.freeClusterCount).toBe(0);
      yard.write(blob, 4091 * 4, 4, 9);
      yard.reload();
      const again = yard.open(blob.id);
      expect(again.clusterCount).toBe(4092);
      yard.expectContent(again, 4091 * 4, 4, 9);
    },
    { store: { clusterBytes: 16 * 1024, mdPageCount: 9 } },
  );
});
