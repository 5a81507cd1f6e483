/** Blobs that become longer and shorter. */

import { expect } from 'vitest';
import { codeOf, eachConfiguration, PER_CLUSTER } from './fixture.js';

eachConfiguration((test) => {
  test('grows at once, frees clusters at the sync after shrinking, and refuses invalid sizes', (yard) => {
    const { store } = yard;
    const blob = yard.make();
    const free = store.freeClusterCount;
    blob.mdRo = true;
    expect(codeOf(() => yard.resize(blob, 5))).toBe('EPERM');
    blob.mdRo = false;
    yard.resize(blob, 5);
    expect(store.freeClusterCount).toBe(free - 5);
    yard.resize(blob, 3);
    expect(store.freeClusterCount).toBe(free - 5); // the disk may still name them
    yard.sync(blob);
    expect(store.freeClusterCount).toBe(free - 3);
    yard.resize(blob, 10);
    expect(store.freeClusterCount).toBe(free - 10);
    expect(codeOf(() => yard.resize(blob, 1000))).toBe('ENOSPC');
    expect(blob.clusterCount).toBe(10);
    expect(store.freeClusterCount).toBe(free - 10);
    yard.resize(blob, 0);
    yard.sync(blob);
    expect(store.freeClusterCount).toBe(free);
    yard.resize(blob, 6);
    yard.close(blob); // closing syncs
    yard.delete(blob.id);
    expect(store.freeClusterCount).toBe(free);
  });

  test('grows and shrinks thin blobs, and counts what is allocated', (yard) => {
    const { store } = yard;
    const free = store.freeClusterCount;
    const blob = yard.make({ thin: true });
    yard.resize(blob, 5);
    expect([store.freeClusterCount, blob.map.allocatedCount]).toEqual([free, 0]);
    yard.write(blob, 0, 1, 1);
    yard.write(blob, 3 * PER_CLUSTER, 1, 2);
    yard.write(blob, 4 * PER_CLUSTER, 1, 3);
    expect([store.freeClusterCount, blob.map.allocatedCount]).toEqual([free - 3, 3]);
    yard.resize(blob, 4);
    expect([store.freeClusterCount, blob.map.allocatedCount]).toEqual([free - 3, 2]);
    yard.sync(blob);
    expect([store.freeClusterCount, blob.map.allocatedCount]).toEqual([free - 2, 2]);
    yard.resize(blob, 1);
    yard.sync(blob);
    expect([store.freeClusterCount, blob.map.allocatedCount]).toEqual([free - 1, 1]);
    yard.resize(blob, 5);
    yard.sync(blob);
    yard.expectContent(blob, 3 * PER_CLUSTER, 2 * PER_CLUSTER, 0);
    yard.reload();
    const again = yard.open(blob.id);
    expect([yard.store.freeClusterCount, again.map.allocatedCount, again.clusterCount]).toEqual([free - 1, 1, 5]);
    yard.expectContent(again, 0, 1, 1);
  });

  test('makes a thin blob of a terabyte with few metadata pages, and a sync takes nothing more', (yard) => {
    const { store } = yard;
    const blob = yard.make({ thin: true });
    const { usage } = yard;
    const clusters = 2 ** 20; // of 1 MiB each
    yard.resize(blob, clusters);
    expect(yard.usage).toEqual(usage);
    yard.sync(blob);
    expect(yard.usage).toEqual(usage);
    expect([blob.clusterCount, blob.map.allocatedCount]).toEqual([clusters, 0]);
    yard.write(blob, (clusters - 1) * PER_CLUSTER + 255, 1, 6);
    expect(store.freeClusterCount).toBe(usage.freeClusters - 1);
    yard.reload();
    const again = yard.open(blob.id);
    expect([again.clusterCount, again.map.allocatedCount]).toEqual([clusters, 1]);
    yard.expectContent(again, (clusters - 1) * PER_CLUSTER + 255, 1, 6);
    yard.closeAll();
    yard.delete(blob.id);
    expect(yard.usage).toEqual({ usedPages: usage.usedPages - 1, freeClusters: usage.freeClusters });
  });

  test('unmaps the clusters that a blob had, and only those, when it shrinks', (yard) => {
    const thin = yard.make({ clusterCount: 10, thin: true });
    for (const cluster of [0, 1, 4, 9]) yard.write(thin, cluster * PER_CLUSTER, 1, cluster + 1);
    const clusters = [0, 1, 4, 9].map((cluster) => thin.clusterAt(cluster));
    yard.recorder.take();
    yard.resize(thin, 0);
    expect(yard.recorder.take().filter(({ kind }) => kind === 'unmap')).toEqual([]);
    yard.sync(thin);
    const unmapped: number[] = [];
    for (const { kind, lba, blockCount } of yard.recorder.take()) {
      if (kind !== 'unmap') continue;
      for (let at = lba; at < lba + blockCount; at += PER_CLUSTER) unmapped.push(at / PER_CLUSTER);
    }
    expect(unmapped.sort((a, b) => a - b)).toEqual([...clusters].sort((a, b) => a - b));
    const next = yard.make({ clusterCount: 4 });
    yard.expectContent(next, 0, 4 * PER_CLUSTER, 0);
  });

  test('reads zeroes where a clone has outgrown its snapshot, writes there, and inflates', (yard) => {
    const original = yard.make({ clusterCount: 4 });
    yard.write(original, 0, 4 * PER_CLUSTER, 1);
    const snapshot = yard.snapshot(original);
    const clone = yard.open(yard.clone(snapshot));
    yard.resize(clone, 7);
    yard.expectContent(clone, 4 * PER_CLUSTER, 3 * PER_CLUSTER, 0);
    const joined = yard.read(clone, 3 * PER_CLUSTER, 2 * PER_CLUSTER); // half within, half beyond
    expect(joined.subarray(PER_CLUSTER * 4096).every((byte) => byte === 0)).toBe(true);
    yard.write(clone, 5 * PER_CLUSTER + 7, 3, 9);
    yard.expectContent(clone, 5 * PER_CLUSTER, 7, 0);
    yard.expectContent(clone, 5 * PER_CLUSTER + 7, 3, 9);
    expect(clone.map.allocatedCount).toBe(1);
    yard.inflate(clone);
    expect([clone.map.allocatedCount, clone.isThin]).toEqual([7, false]);
    yard.expectContent(clone, 0, 4 * PER_CLUSTER, 1);
    yard.expectContent(clone, 4 * PER_CLUSTER, PER_CLUSTER, 0);
    yard.expectContent(clone, 5 * PER_CLUSTER + 7, 3, 9);
    yard.reload();
    yard.expectContent(yard.open(clone.id), 0, 4 * PER_CLUSTER, 1);
  });
});
