/** Known faults of the specification: snapshots, clones and what they share. Each test is named after its row. */

import { INVALID_BLOB_ID } from '@blobyard/core';
import { expect } from 'vitest';
import { ExternalDevice, ExternalSource } from '../peer/external-source.js';
import { codeOf, eachConfiguration, PER_CLUSTER, type Yard } from '../peer/fixture.js';

/** Makes a blob of 3 clusters, its snapshot, and a clone of that with `clusterCount` clusters. */
function makeLongClone(yard: Yard, clusterCount: number) {
  const original = yard.make({ clusterCount: 3 });
  yard.write(original, 0, 3 * PER_CLUSTER, 1);
  const snapshot = yard.snapshot(original);
  const clone = yard.open(yard.clone(snapshot));
  yard.resize(clone, clusterCount);
  yard.sync(clone);
  return { original, snapshot, clone };
}

eachConfiguration((test) => {
  test('a clone larger than its snapshot, or a smaller ancestor further up: reads and first writes', (yard) => {
    const { clone } = makeLongClone(yard, 8);
    const upper = yard.snapshot(clone); // 8 clusters over 3
    const top = yard.open(yard.clone(upper));
    yard.resize(top, 10);
    for (const blob of [clone, top]) {
      const end = blob.clusterCount * PER_CLUSTER;
      const all = Buffer.from(yard.read(blob, 0, end)); // reaches past the ends of both ancestors
      expect(all.subarray(0, 3 * 2 ** 20).equals(Buffer.from(yard.payload(1, 3 * PER_CLUSTER)))).toBe(true);
      expect(all.subarray(3 * 2 ** 20).every((byte) => byte === 0)).toBe(true);
      yard.expectContent(blob, end - 1, 1, 0);
    }
    for (const cluster of [2, 3, 7, 8, 9]) yard.write(top, cluster * PER_CLUSTER + 9, 2, 5);
    yard.write(top, 5 * PER_CLUSTER - 1, 2, 6); // over two clusters that neither ancestor has
    expect(top.map.allocatedCount).toBe(7);
    yard.expectContent(top, 3 * PER_CLUSTER, 9, 0);
    yard.expectContent(top, 9 * PER_CLUSTER + 11, 200, 0);
    yard.expectContent(top, 5 * PER_CLUSTER - 1, 2, 6);
    yard.reload();
    yard.expectContent(yard.open(top.id), 9 * PER_CLUSTER + 9, 2, 5);
  });

  for (const how of ['inflate', 'decouple'] as const) {
    test(`a clone larger than its snapshot, or a smaller ancestor further up: ${how}`, (yard) => {
      const { clone, snapshot } = makeLongClone(yard, 8);
      const upper = yard.snapshot(clone);
      const top = yard.open(yard.clone(upper));
      yard.resize(top, 10);
      yard[how](top);
      expect(top.map.allocatedCount).toBe(how === 'inflate' ? 10 : 0);
      expect(yard.store.parentOf(top.id)).toBe(how === 'inflate' ? INVALID_BLOB_ID : snapshot);
      if (how === 'decouple') {
        yard.decouple(top); // from the smallest one
        expect(top.map.allocatedCount).toBe(3);
      }
      yard.expectContent(top, 0, 3 * PER_CLUSTER, 1);
      yard.expectContent(top, 3 * PER_CLUSTER, 7 * PER_CLUSTER, 0);
      yard.crash();
      yard.expectContent(yard.open(top.id), 0, 3 * PER_CLUSTER, 1);
    });
  }

  for (const clusterCount of [1, 2, 5, 600]) {
    test(`deleting a snapshot whose clone was resized (to ${clusterCount})`, (yard) => {
      const original = yard.make({ clusterCount: 3 });
      yard.write(original, 0, 3 * PER_CLUSTER, 1);
      const snapshot = yard.snapshot(original);
      yard.write(original, 0, 1, 2);
      yard.resize(original, clusterCount);
      yard.delete(snapshot); // the blob takes over the clusters that it needs
      const kept = Math.min(3, clusterCount);
      const check = (blob: typeof original) => {
        expect([blob.clusterCount, blob.map.allocatedCount]).toEqual([clusterCount, kept]);
        yard.expectContent(blob, 0, 1, 2);
        if (kept > 1) {
          const rest = Buffer.from(yard.read(blob, PER_CLUSTER, (kept - 1) * PER_CLUSTER));
          const all = Buffer.from(yard.payload(1, 3 * PER_CLUSTER));
          expect(rest.equals(all.subarray(2 ** 20, kept * 2 ** 20))).toBe(true);
        }
        if (clusterCount > 3) yard.expectContent(blob, 3 * PER_CLUSTER, 2 * PER_CLUSTER, 0);
        if (clusterCount > 3) yard.expectContent(blob, (clusterCount - 1) * PER_CLUSTER, PER_CLUSTER, 0);
        expect(yard.store.freeClusterCount).toBe(yard.store.dataClusterCount - kept);
      };
      check(original);
      yard.reload();
      check(yard.open(original.id));
      yard.crash();
      check(yard.open(original.id));
    });
  }

  test(
    'a clone that cannot be created (no page, bad xattr)',
    (yard) => {
      const original = yard.make({ clusterCount: 1 });
      const snapshot = yard.snapshot(original);
      const ids = yard.store.blobIds();
      const { usage } = yard;
      for (const make of [yard.clone.bind(yard, snapshot), yard.snapshot.bind(yard, original)]) {
        expect(codeOf(() => make({ bad: new Uint8Array(0) }))).toBe('EINVAL');
        expect(codeOf(() => make({ long: new Uint8Array(5000) }))).toBe('ENOMEM');
        expect([yard.usage, yard.store.blobIds()]).toEqual([usage, ids]);
      }
      while (codeOf(() => yard.create()) === 'ok');
      const full = [yard.usage, yard.store.blobIds()];
      expect(codeOf(() => yard.clone(snapshot))).toBe('ENOMEM');
      expect(codeOf(() => yard.snapshot(original))).toBe('ENOMEM');
      expect([yard.usage, yard.store.blobIds()]).toEqual(full);
      expect(yard.store.clonesOf(snapshot)).toEqual([original.id]);
      expect([original.locked, original.isClone]).toEqual([false, true]);
    },
    { store: { mdPageCount: 8 } },
  );

  test('copy-on-write that cannot read', (yard) => {
    const original = yard.make({ clusterCount: 2 });
    yard.write(original, 0, 2 * PER_CLUSTER, 1);
    const snapshot = yard.snapshot(original);
    const { usage } = yard;
    const { canCopy } = yard.configuration;
    yard.device.failAt(1, { kind: canCopy ? 'copy' : 'read' });
    expect(codeOf(() => yard.write(original, 3, 1, 2))).toBe('EIO');
    expect(yard.usage).toEqual(usage);
    if (!canCopy) {
      yard.device.failAt(1, { kind: 'write' });
      expect(codeOf(() => yard.write(original, 3, 1, 2))).toBe('EIO');
      expect(yard.usage).toEqual(usage);
    }
    yard.write(original, 3, 1, 2);
    yard.expectContent(original, 3, 1, 2);
    yard.expectContent(yard.open(snapshot), 0, 2 * PER_CLUSTER, 1);
  });

  test(
    'shrink without sync, then snapshot',
    (yard) => {
      const blob = yard.make({ clusterCount: 700 });
      yard.write(blob, 0, 8, 1);
      yard.resize(blob, 3);
      const snapshot = yard.open(yard.snapshot(blob));
      expect([snapshot.clusterCount, snapshot.map.allocatedCount, blob.clusterCount, blob.map.allocatedCount]).toEqual([
        3, 3, 3, 0,
      ]);
      expect(yard.store.freeClusterCount).toBe(yard.store.dataClusterCount - 3);
      yard.resize(blob, 900);
      yard.expectContent(blob, 12, 4, 0);
      yard.expectContent(blob, 0, 8, 1);
      yard.crash();
      yard.expectContent(yard.open(blob.id), 0, 8, 1);
      expect(yard.open(snapshot.id).clusterCount).toBe(3);
    },
    { store: { clusterBytes: 16 * 1024, mdPageCount: 200 } },
  );

  const source = new ExternalSource(2 ** 21);
  test(
    'inflate of a read-only esnap clone',
    (yard) => {
      const blob = yard.make({ clusterCount: 2, externalSnapshotId: Uint8Array.of(3) });
      yard.write(blob, 0, 1, 9);
      yard.seal(blob);
      yard.inflate(blob);
      expect([blob.isExternalClone, blob.isThin, blob.isReadOnly]).toEqual([false, false, true]);
      expect(blob.internalXattrs.isEmpty).toBe(true);
      yard.closeAll();
      yard.unload();
      yard.load({ openExternalSnapshot: undefined });
      const again = yard.open(blob.id);
      expect([again.internalXattrs.isEmpty, again.isReadOnly]).toEqual([true, true]);
      yard.expectContent(again, 0, 1, 9);
      const bytes = new ExternalDevice(3, 2 ** 21, 4096).bytes;
      expect(Buffer.from(yard.read(again, 1, 2 * PER_CLUSTER - 1)).equals(Buffer.from(bytes.subarray(4096)))).toBe(
        true,
      );
    },
    { store: { openExternalSnapshot: source.open } },
  );

  test('recovery that meets a cluster twice (shared while a snapshot was being made or deleted)', (yard) => {
    const { dataClusterCount } = yard.store;
    const most = dataClusterCount - 3; // counted twice, these would be more clusters than the store has
    const blob = yard.make({ clusterCount: most });
    yard.write(blob, 0, 1, 1);
    yard.reload();
    for (let k = 1; ; k++) {
      yard.device.cutPowerAt(k);
      const made = codeOf(() => yard.do(yard.store.createSnapshot(blob.id)));
      yard.device.clearFaults();
      yard.device.restorePower();
      yard.crash();
      expect(yard.store.freeClusterCount).toBe(3);
      const others = yard.store.blobIds().filter((id) => id !== blob.id);
      if (made === 'ok') break;
      for (const id of others) yard.delete(id);
    }
    for (let k = 1; ; k++) {
      const [snapshot] =
        yard.store.clonesOf(blob.id).length > 0 ? [blob.id] : yard.store.blobIds().filter((id) => id !== blob.id);
      if (snapshot === undefined) break;
      yard.device.cutPowerAt(k);
      codeOf(() => yard.delete(snapshot));
      yard.device.clearFaults();
      yard.device.restorePower();
      yard.crash();
      expect(yard.store.freeClusterCount).toBe(3);
    }
    yard.expectContent(yard.open(blob.id), 0, 1, 1);
  });
});
