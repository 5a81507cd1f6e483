/** Snapshots and clones: their data, their relations, and which of them may be deleted. */

import { type Blob, INVALID_BLOB_ID } from '@blobyard/core';
import { SparseMemoryDevice } from '@blobyard/io';
import { expect } from 'vitest';
import { codeOf, eachConfiguration, PER_CLUSTER, type Yard } from './fixture.js';

const CLUSTER = PER_CLUSTER;

/** The numbers of blocks that were read, copied and written in data clusters since the last call. */
function dataMoved(yard: Yard): { read: number; written: number; copied: number } {
  const dataFrom = yard.store.geometry.metadataClusterCount() * yard.store.geometry.blocksPerCluster;
  const sum = { read: 0, written: 0, copied: 0 };
  for (const { kind, lba, blockCount } of yard.recorder.take()) {
    if (lba < dataFrom) continue;
    if (kind === 'read') sum.read += blockCount;
    if (kind === 'write') sum.written += blockCount;
    if (kind === 'copy') sum.copied += blockCount;
  }
  return sum;
}

eachConfiguration((test) => {
  test('makes snapshots of blobs and of clones, but none of a snapshot, and lists the clones of each', (yard) => {
    const { store } = yard;
    const blob = yard.make({ clusterCount: 10 });
    const { freeClusterCount } = store;
    const first = yard.open(yard.snapshot(blob));
    expect(store.freeClusterCount).toBe(freeClusterCount);
    expect([first.isReadOnly, first.isThin, first.clusterCount, first.map.allocatedCount]).toEqual([
      true,
      false,
      10,
      10,
    ]);
    expect([blob.isReadOnly, blob.isThin, blob.clusterCount, blob.map.allocatedCount]).toEqual([false, true, 10, 0]);
    const second = yard.open(yard.snapshot(blob, { name: Buffer.from('second') }));
    expect(Buffer.from(store.getXattr(second, 'name')).toString()).toBe('second');
    expect([second.isThin, second.map.allocatedCount]).toEqual([true, 0]);
    expect(codeOf(() => yard.snapshot(second))).toBe('EINVAL');
    expect(store.clonesOf(first.id)).toEqual([second.id]);
    expect(store.clonesOf(second.id)).toEqual([blob.id]);
    expect([store.parentOf(blob.id), store.parentOf(second.id)]).toEqual([second.id, first.id]);
    expect(store.parentOf(first.id)).toBe(INVALID_BLOB_ID);
    expect(codeOf(() => yard.delete(first.id))).toBe('EBUSY'); // it is open
    yard.close(first);
    yard.close(second);
    yard.delete(second.id);
    expect(store.clonesOf(first.id)).toEqual([blob.id]);
    yard.delete(first.id);
    expect(store.parentOf(blob.id)).toBe(INVALID_BLOB_ID);
    expect(blob.map.allocatedCount).toBe(10);
    expect(store.freeClusterCount).toBe(freeClusterCount);
  });

  test('makes clones of snapshots and of read-only blobs, but none of blobs that can be written', (yard) => {
    const { store } = yard;
    const blob = yard.make({ clusterCount: 10 });
    yard.write(blob, 0, 3, 1);
    expect(codeOf(() => yard.clone(blob.id))).toBe('EINVAL');
    const snapshot = yard.snapshot(blob);
    const clone = yard.open(yard.clone(snapshot, { name: Buffer.from('clone') }));
    expect(Buffer.from(store.getXattr(clone, 'name')).toString()).toBe('clone');
    expect([clone.isReadOnly, clone.isThin, clone.clusterCount, clone.map.allocatedCount]).toEqual([
      false,
      true,
      10,
      0,
    ]);
    expect(store.clonesOf(snapshot)).toEqual([blob.id, clone.id]);
    const sealed = yard.make({ clusterCount: 4 });
    yard.write(sealed, 7, 3, 2);
    yard.seal(sealed);
    const second = yard.open(yard.clone(sealed.id));
    yard.expectContent(second, 7, 3, 2);
    yard.write(second, 7, 1, 3);
    yard.expectContent(sealed, 7, 3, 2);
    expect(store.clonesOf(sealed.id)).toEqual([second.id]);
    yard.reload();
    expect(yard.store.clonesOf(snapshot)).toEqual([blob.id, clone.id]);
    expect(yard.store.clonesOf(sealed.id)).toEqual([second.id]);
  });

  test('inflates and decouples blobs with a parent, and leaves alone what has none', (yard) => {
    const { store } = yard;
    const free = store.freeClusterCount;
    const thin = yard.make({ clusterCount: 10, thin: true });
    expect(codeOf(() => yard.decouple(thin))).toBe('EINVAL');
    yard.inflate(thin);
    expect([store.freeClusterCount, thin.isThin, thin.map.allocatedCount]).toEqual([free - 10, false, 10]);
    yard.inflate(thin); // thick already
    expect(store.freeClusterCount).toBe(free - 10);
    yard.resize(thin, 0);
    yard.sync(thin);
    for (const how of ['inflate', 'decouple'] as const) {
      const blob = yard.make({ clusterCount: 10, thin: true });
      yard.write(blob, 2 * CLUSTER, 1, 5);
      yard.write(blob, 3 * CLUSTER, 1, 6);
      const snapshot = yard.snapshot(blob);
      yard.write(blob, 3 * CLUSTER, 1, 7);
      yard[how](blob);
      const allocated = how === 'inflate' ? 10 : 2;
      expect([blob.map.allocatedCount, blob.isThin]).toEqual([allocated, how === 'decouple']);
      expect(store.freeClusterCount).toBe(free - 2 - allocated);
      expect(store.clonesOf(snapshot)).toEqual([]);
      yard.expectContent(blob, 2 * CLUSTER, 1, 5);
      yard.expectContent(blob, 3 * CLUSTER, 1, 7);
      yard.delete(snapshot);
      expect(store.freeClusterCount).toBe(free - allocated);
      yard.close(blob);
      yard.delete(blob.id);
      expect(store.freeClusterCount).toBe(free);
    }
  });

  test('refuses to inflate where there are not enough clusters, and takes none', (yard) => {
    const thin = yard.make({ clusterCount: 64, thin: true });
    const { usage } = yard;
    expect(codeOf(() => yard.inflate(thin))).toBe('ENOSPC');
    expect(yard.usage).toEqual(usage);
    expect(thin.locked).toBe(false);
  });

  test('copies on the first write after a snapshot, which does not change', (yard) => {
    const { canCopy } = yard.configuration;
    const blob = yard.make({ clusterCount: 5, thin: true });
    yard.write(blob, 4, 10, 1);
    const snapshot = yard.open(yard.snapshot(blob));
    yard.recorder.take();
    yard.write(blob, 4, 5, 2);
    expect(dataMoved(yard)).toEqual(
      canCopy ? { read: 0, copied: CLUSTER, written: 5 } : { read: CLUSTER, copied: 0, written: CLUSTER + 5 },
    );
    yard.write(blob, 4, 5, 2);
    expect(dataMoved(yard)).toEqual({ read: 0, copied: 0, written: 5 });
    yard.write(blob, CLUSTER, 1, 3); // the snapshot has a hole there, so there is nothing to copy
    expect(dataMoved(yard)).toEqual({ read: 0, copied: 0, written: 1 });
    yard.expectContent(blob, 4, 5, 2);
    expect(Buffer.from(yard.read(blob, 9, 5)).equals(Buffer.from(yard.payload(1, 10).subarray(5 * 4096)))).toBe(true);
    yard.expectContent(snapshot, 4, 10, 1);
    yard.expectContent(snapshot, CLUSTER, 1, 0);
  });

  test('copies on first writes of scatter lists over two clusters', (yard) => {
    const blob = yard.make({ clusterCount: 5 });
    yard.write(blob, 0, 2 * CLUSTER, 1);
    const snapshot = yard.open(yard.snapshot(blob));
    const payload = yard.payload(2, 12);
    const cut = (bytes: Uint8Array) => [bytes.subarray(0, 10000), bytes.subarray(10000, 30000), bytes.subarray(30000)];
    yard.channel.writevSync(blob, cut(payload), 250, 12);
    expect(blob.map.allocatedCount).toBe(2);
    const found = new Uint8Array(payload.length);
    yard.channel.readvSync(blob, cut(found), 250, 12);
    expect(Buffer.from(found).equals(Buffer.from(payload))).toBe(true);
    yard.expectContent(blob, 0, 250, 1);
    yard.expectContent(snapshot, 0, 2 * CLUSTER, 1);
    yard.reload();
    yard.expectContent(yard.open(snapshot.id), 0, 2 * CLUSTER, 1);
    yard.expectContent(yard.open(blob.id), 250, 12, 2);
  });

  test('keeps a tree of snapshots and clones, over reloads too', (yard) => {
    const blob = yard.make({ clusterCount: 10 });
    const first = yard.snapshot(blob);
    const clone = yard.open(yard.clone(first));
    const second = yard.snapshot(clone);
    const others = [yard.clone(second), yard.clone(second)];
    const check = () => {
      const { store } = yard;
      expect([...store.clonesOf(first)].sort()).toEqual([blob.id, second].sort());
      expect([...store.clonesOf(second)].sort()).toEqual([clone.id, ...others].sort());
      expect(store.clonesOf(blob.id)).toEqual([]);
      expect([first, second, blob.id, clone.id].map((id) => store.isSnapshot(id))).toEqual([true, true, false, false]);
      expect([second, blob.id, clone.id, ...others].map((id) => store.parentOf(id))).toEqual([
        first,
        first,
        second,
        second,
        second,
      ]);
      expect(store.parentOf(first)).toBe(INVALID_BLOB_ID);
      yard.closeAll();
      for (const id of [first, second]) expect(codeOf(() => yard.delete(id))).toBe('EBUSY'); // more than one clone
    };
    check();
    yard.reload();
    check();
    yard.crash();
    check();
    for (const id of others) yard.delete(id);
    yard.delete(second);
    expect([...yard.store.clonesOf(first)].sort()).toEqual([blob.id, clone.id].sort());
    yard.delete(clone.id);
    yard.delete(first);
    expect(yard.store.parentOf(blob.id)).toBe(INVALID_BLOB_ID);
    expect(yard.open(blob.id).map.allocatedCount).toBe(10);
  });

  test('moves allocated clusters to the clone when a snapshot in the middle is deleted', (yard) => {
    const { store } = yard;
    const free = store.freeClusterCount;
    const blob = yard.make({ clusterCount: 10, thin: true });
    const write = (clusters: readonly number[], seed: number) => {
      for (const cluster of clusters) yard.write(blob, cluster * CLUSTER, 2, seed);
    };
    const allocated = (id: bigint) => {
      const open = yard.open(id);
      const { allocatedCount } = open.map;
      yard.close(open);
      return allocatedCount;
    };
    write([0, 1, 2], 1);
    const first = yard.snapshot(blob);
    write([1, 3], 2);
    const second = yard.snapshot(blob);
    write([2, 3, 4], 3);
    const third = yard.snapshot(blob);
    write([4], 4);
    expect([first, second, third, blob.id].map(allocated)).toEqual([3, 2, 3, 1]);
    expect(store.freeClusterCount).toBe(free - 9);
    yard.delete(second); // the third gets cluster 1; it has a cluster 3 of its own already
    expect([first, third, blob.id].map(allocated)).toEqual([3, 4, 1]);
    expect(store.freeClusterCount).toBe(free - 8);
    expect(store.parentOf(third)).toBe(first);
    yard.delete(first); // the third gets cluster 0
    expect([third, blob.id].map(allocated)).toEqual([5, 1]);
    expect(store.freeClusterCount).toBe(free - 6);
    const contents = () => {
      const open = yard.open(blob.id);
      for (const [cluster, seed] of [
        [0, 1],
        [1, 2],
        [2, 3],
        [3, 3],
        [4, 4],
        [5, 0],
      ]) {
        yard.expectContent(open, cluster * CLUSTER, 2, seed);
      }
      yard.close(open);
    };
    contents();
    yard.delete(third);
    expect(store.freeClusterCount).toBe(free - 5);
    contents();
    yard.crash();
    contents();
    expect(allocated(blob.id)).toBe(5);
  });

  test('decouples a snapshot, which then stands alone, and deletes it', (yard) => {
    const { store } = yard;
    const blob = yard.make({ clusterCount: 10, thin: true });
    yard.write(blob, 0, CLUSTER, 1);
    const first = yard.snapshot(blob);
    yard.write(blob, CLUSTER, CLUSTER, 2);
    const second = yard.open(yard.snapshot(blob));
    expect(codeOf(() => yard.store.setXattr(second, 'a', Uint8Array.of(1)))).toBe('EPERM');
    yard.decouple(second); // the metadata of a read-only blob changes here
    expect([second.map.allocatedCount, second.isReadOnly]).toEqual([2, true]);
    expect(store.clonesOf(first)).toEqual([]);
    expect(store.clonesOf(second.id)).toEqual([blob.id]);
    yard.expectContent(second, 0, CLUSTER, 1);
    yard.delete(first);
    yard.close(second);
    yard.delete(second.id);
    yard.expectContent(blob, 0, CLUSTER, 1);
    yard.expectContent(blob, CLUSTER, CLUSTER, 2);
    yard.reload();
    const again = yard.open(blob.id);
    expect(yard.store.parentOf(blob.id)).toBe(INVALID_BLOB_ID);
    yard.expectContent(again, 0, CLUSTER, 1);
  });

  test('decouples a snapshot in the middle; then both may be deleted in either order', (yard) => {
    for (const firstGoesFirst of [true, false]) {
      const { usage } = yard;
      const blob = yard.make({ clusterCount: 10, thin: true });
      yard.write(blob, 0, 2 * CLUSTER, 1);
      const first = yard.snapshot(blob);
      yard.write(blob, CLUSTER, CLUSTER, 2);
      const second = yard.open(yard.snapshot(blob));
      yard.write(blob, 2 * CLUSTER, CLUSTER, 3);
      yard.decouple(second);
      yard.close(second);
      for (const id of firstGoesFirst ? [first, second.id] : [second.id, first]) yard.delete(id);
      yard.expectContent(blob, 0, CLUSTER, 1);
      yard.expectContent(blob, CLUSTER, CLUSTER, 2);
      yard.expectContent(blob, 2 * CLUSTER, CLUSTER, 3);
      expect(blob.map.allocatedCount).toBe(3);
      yard.close(blob);
      yard.delete(blob.id);
      expect(yard.usage).toEqual(usage);
    }
  });

  test('keeps data correct through inflate and decouple over two levels of snapshots', (yard) => {
    for (const how of ['inflate', 'decouple'] as const) {
      const blob = yard.make({ clusterCount: 5, thin: true });
      for (const cluster of [0, 1, 2]) yard.write(blob, cluster * CLUSTER, CLUSTER, 1);
      const lower = yard.snapshot(blob);
      yard.write(blob, CLUSTER + 3, 5, 2);
      const upper = yard.snapshot(blob);
      yard.write(blob, 2 * CLUSTER + 4, 6, 3);
      const before = Buffer.from(yard.read(blob, 0, 5 * CLUSTER));
      const same = (found: Blob) => expect(before.equals(Buffer.from(yard.read(found, 0, 5 * CLUSTER)))).toBe(true);
      yard[how](blob);
      same(blob);
      expect(blob.map.allocatedCount).toBe(how === 'inflate' ? 5 : 2);
      expect(yard.store.parentOf(blob.id)).toBe(how === 'inflate' ? INVALID_BLOB_ID : lower);
      yard.write(blob, 4 * CLUSTER, 1, 4);
      yard.write(blob, 4 * CLUSTER, 1, 0x7777);
      yard.channel.writeZeroesSync(blob, 4 * CLUSTER, 1);
      same(blob);
      yard.delete(upper);
      yard.delete(lower);
      same(blob);
      yard.close(blob);
      yard.delete(blob.id);
    }
  });

  test('copies the own clusters of a read-only blob, and none of its parent', (yard) => {
    const { store } = yard;
    const blob = yard.make({ clusterCount: 6, thin: true });
    for (const cluster of [0, 2]) yard.write(blob, cluster * CLUSTER, CLUSTER, 1);
    yard.snapshot(blob);
    for (const cluster of [1, 2]) yard.write(blob, cluster * CLUSTER, CLUSTER, 2);
    const target = (sizeBytes: number, blockLengthBytes: number) =>
      new SparseMemoryDevice({ sizeBytes, blockLengthBytes });
    const bytes = 6 * CLUSTER * 4096;
    const copy = (to: SparseMemoryDevice) => yard.do(store.shallowCopyBlob(blob.id, to));
    expect(codeOf(() => copy(target(bytes, 4096)))).toBe('EPERM');
    yard.seal(blob);
    expect(codeOf(() => copy(target(bytes - 4096, 4096)))).toBe('EINVAL');
    expect(codeOf(() => copy(target(bytes, 8192)))).toBe('EINVAL');
    for (const blockLengthBytes of [4096, 512]) {
      const to = target(bytes, blockLengthBytes);
      const reported: number[][] = [];
      const onProgress = (done: number, total: number) => reported.push([done, total]);
      expect(yard.do(store.shallowCopyBlob(blob.id, to, { onProgress }))).toBe(2);
      expect(reported).toEqual([
        [1, 2],
        [2, 2],
      ]);
      const found = Buffer.from(to.bytes());
      const own = Buffer.from(yard.payload(2, CLUSTER));
      const parts = Array.from({ length: 6 }, (_, index) =>
        found.subarray(index * own.length, (index + 1) * own.length),
      );
      expect(
        parts.map((part) => (part.equals(own) ? 'own' : part.every((byte) => byte === 0) ? 'empty' : 'other')),
      ).toEqual(['empty', 'own', 'own', 'empty', 'empty', 'empty']);
    }
  });
});
