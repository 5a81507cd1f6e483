/** Loading stores that were not unloaded: recovery uses only the metadata pages. */

import { pageOfBlobId } from '@blobyard/core';
import { expect } from 'vitest';
import { codeOf, codeOfLoad, eachConfiguration, PER_CLUSTER, type Yard } from './fixture.js';
import { flipCrc } from './raw-page.js';

/** Marks a snapshot on disk as being deleted. */
function markPendingRemoval(yard: Yard, id: bigint, clone: bigint): void {
  const snapshot = yard.open(id);
  snapshot.mdRo = false;
  snapshot.setInternalId('SNAPRM', clone);
  yard.sync(snapshot);
  yard.close(snapshot);
}

eachConfiguration((test) => {
  test('keeps a snapshot that was to be removed while a clone names it, and removes it otherwise', (yard) => {
    const blob = yard.make({ clusterCount: 10 });
    yard.write(blob, 0, 1, 1);
    const snapshot = yard.snapshot(blob);
    markPendingRemoval(yard, snapshot, blob.id);
    yard.reload();
    const kept = yard.open(snapshot);
    expect([kept.isReadOnly, kept.internalId('SNAPRM')]).toEqual([true, undefined]);
    expect(yard.store.clonesOf(snapshot)).toEqual([blob.id]);
    yard.close(kept);
    markPendingRemoval(yard, snapshot, blob.id);
    const clone = yard.open(blob.id);
    yard.inflate(clone); // it does not need the snapshot any more
    yard.crash();
    expect(codeOf(() => yard.open(snapshot))).toBe('ENOENT');
    expect(yard.store.blobIds()).toEqual([blob.id]);
    const again = yard.open(blob.id);
    yard.expectContent(again, 0, 1, 1);
    yard.expectContent(again, 1, 10, 0);
  });

  test('counts free clusters anew', (yard) => {
    const kinds = [yard.make({ clusterCount: 5 }), yard.make({ clusterCount: 7, thin: true }), yard.make()];
    yard.write(kinds[1], 3 * PER_CLUSTER, 1, 1);
    for (const blob of kinds) yard.sync(blob);
    const { usage } = yard;
    expect(usage.freeClusters).toBe(63 - 6);
    yard.crash();
    expect(yard.usage).toEqual(usage);
  });

  test('finds xattrs, sizes, new and deleted blobs as they were synced, crash after crash', (yard) => {
    const { id } = yard.make({ clusterCount: 10 });
    const set = (name: string, value: number) => yard.store.setXattr(yard.open(id), name, Uint8Array.of(value));
    const get = (name: string) => yard.store.getXattr(yard.open(id), name)[0];
    set('kept', 1);
    yard.sync(yard.open(id));
    set('lost', 2);
    yard.crash();
    expect(get('kept')).toBe(1);
    expect(codeOf(() => get('lost'))).toBe('ENOENT');
    for (const size of [20, 3, 0, 15]) {
      const blob = yard.open(id);
      yard.resize(blob, size);
      yard.sync(blob);
      yard.resize(blob, size + 5); // never synced
      yard.crash();
      expect(yard.open(id).clusterCount).toBe(size);
      expect(yard.store.freeClusterCount).toBe(63 - size);
    }
    const made = yard.create({ clusterCount: 4 });
    yard.crash();
    expect(yard.open(made).clusterCount).toBe(4);
    yard.closeAll();
    yard.delete(made);
    yard.crash();
    expect(codeOf(() => yard.open(made))).toBe('ENOENT');
    expect(yard.store.freeClusterCount).toBe(63 - 15);
  });

  test('does not take a damaged root for a blob when it recovers, and keeps it from opening after a clean load', (yard) => {
    const [good, bad] = [yard.create({ clusterCount: 3 }), yard.create({ clusterCount: 5 })];
    yard.unload();
    yard.load();
    flipCrc(yard, pageOfBlobId(bad));
    expect(codeOf(() => yard.open(bad))).toBe('EINVAL');
    yard.crash({ forceRecover: true });
    expect(codeOf(() => yard.open(bad))).toBe('ENOENT');
    expect(yard.store.freeClusterCount).toBe(60);
    expect(yard.open(good).clusterCount).toBe(3);
    const next = yard.make({ clusterCount: 60 });
    expect(next.id).toBe(bad); // the page and the clusters of the bad blob were free
  });

  test('refuses to recover a store with a damaged chain, or sets the blob aside', (yard) => {
    const good = yard.create({ clusterCount: 3 });
    const bad = yard.make({ clusterCount: 5 });
    yard.store.setXattr(bad, 'first', new Uint8Array(3000).fill(1));
    yard.store.setXattr(bad, 'second', new Uint8Array(3000).fill(1));
    yard.sync(bad);
    expect(bad.chain.length).toBeGreaterThan(1);
    flipCrc(yard, bad.chain[1]);
    yard.abandon();
    expect(codeOfLoad(yard.device)).toBe('EILSEQ');
    yard.load({ onDamage: 'set-aside' });
    expect(yard.store.damaged.map(({ id }) => id)).toContain(bad.id);
    expect(yard.open(good).clusterCount).toBe(3);
    yard.leavesDamage = true;
  });

  test('calls back for each blob, after a clean and after a dirty unload', (yard) => {
    const ids = Array.from({ length: 5 }, (_, index) => yard.create({ clusterCount: index }));
    const visit = (how: 'reload' | 'crash') => {
      const seen: [bigint, number][] = [];
      yard[how]({ onBlob: ({ id, clusterCount }) => seen.push([id, clusterCount]) });
      return seen;
    };
    const expected = ids.map((id, index) => [id, index]);
    expect(visit('reload')).toEqual(expected);
    yard.delete(ids[2]);
    expected.splice(2, 1);
    expect(visit('crash')).toEqual(expected);
    expect(visit('reload')).toEqual(expected);
  });
});
