/** A copy of a blob to another device reads as the blob does, whatever is behind the blob. */

import { type Blob, Blobstore, type BlockDevice, type Channel, run, runSync } from '@blobyard/core';
import { FaultyDevice, SparseMemoryDevice } from '@blobyard/io';
import { describe, expect, test } from 'vitest';
import { Random } from '../random.js';

const CLUSTER = 16_384;
const UNIT = 4096;
const PER_CLUSTER = CLUSTER / UNIT;

class Yard {
  readonly store: Blobstore;
  readonly channel: Channel;

  constructor(device: BlockDevice, external?: BlockDevice) {
    const openExternalSnapshot = external && (() => external);
    this.store = runSync(Blobstore.init(device, { clusterBytes: CLUSTER, mdPageCount: 64, openExternalSnapshot }));
    this.channel = this.store.openChannel();
  }

  open(id: bigint): Blob {
    return runSync(this.store.openBlob(id));
  }

  create(clusterCount: number, options: { thin?: boolean; externalSnapshotId?: Uint8Array } = {}): Blob {
    return this.open(runSync(this.store.createBlob({ clusterCount, thin: true, ...options })));
  }

  fill(blob: Blob, cluster: number, value: number): void {
    this.channel.writeSync(blob, new Uint8Array(CLUSTER).fill(value), cluster * PER_CLUSTER, PER_CLUSTER);
  }

  contentOf(blob: Blob): Uint8Array {
    const bytes = new Uint8Array(blob.clusterCount * CLUSTER);
    if (bytes.length > 0) this.channel.readSync(blob, bytes, 0, blob.clusterCount * PER_CLUSTER);
    return bytes;
  }
}

/** A device full of a value, so that a hole that is not made shows. */
function stale(clusters: number): SparseMemoryDevice {
  return SparseMemoryDevice.fromBytes(new Uint8Array(clusters * CLUSTER).fill(0xee), { blockLengthBytes: 512 });
}

function bytesOf(device: BlockDevice): Uint8Array {
  const bytes = new Uint8Array(device.blockCount * device.blockLengthBytes);
  void device.openChannel().read(bytes, 0, 0, device.blockCount);
  return bytes;
}

function newDevice(): SparseMemoryDevice {
  return new SparseMemoryDevice({ sizeBytes: 512 * CLUSTER });
}

describe('a copy of what a blob reads as', () => {
  test.each([1, 2, 3, 4, 5, 6])('is equal through lines of snapshots that were resized (seed %i)', (seed) => {
    const random = new Random(seed, 'copies');
    const external = SparseMemoryDevice.fromBytes(new Uint8Array(200 * CLUSTER).fill(0xcc), { blockLengthBytes: 512 });
    const yard = new Yard(newDevice(), external);
    const { store } = yard;
    for (let line = 0; line < 6; line++) {
      const externalSnapshotId = random.below(3) === 0 ? Uint8Array.of(1) : undefined;
      let leaf = yard.create(1 + random.below(100), { externalSnapshotId });
      for (let depth = 0; depth < 4; depth++) {
        for (let writes = random.below(12); writes > 0; writes--) {
          const first = random.below(leaf.clusterCount);
          const end = Math.min(leaf.clusterCount, first + 1 + random.below(3));
          for (let cluster = first; cluster < end; cluster++) yard.fill(leaf, cluster, 1 + random.below(200));
        }
        const snapshot = yard.open(runSync(store.createSnapshot(leaf.id)));
        const spare = random.below(3);
        const target = stale(snapshot.clusterCount + spare);
        const copied = runSync(store.copyBlob(yard.channel, snapshot.id, target, false));
        const got = bytesOf(target);
        const length = snapshot.clusterCount * CLUSTER;
        expect(Buffer.compare(got.subarray(0, length), yard.contentOf(snapshot))).toBe(0);
        expect(got.subarray(length).every((byte) => byte === 0xee)).toBe(true);
        expect(copied).toBeGreaterThanOrEqual(snapshot.map.allocatedCount);
        runSync(store.resizeBlob(leaf, 1 + random.below(100)));
        runSync(store.syncBlob(leaf));
        if (random.below(4) === 0) {
          const clone = yard.open(runSync(store.createClone(snapshot.id)));
          runSync(store.closeBlob(leaf));
          leaf = clone;
        }
        runSync(store.closeBlob(snapshot));
      }
    }
    store.verify();
  });

  test('writes nothing where the blob has nothing, and nothing at all where the target is new', () => {
    const yard = new Yard(newDevice());
    const blob = yard.create(200);
    for (const cluster of [3, 4, 90, 199]) yard.fill(blob, cluster, cluster);
    const below = yard.open(runSync(yard.store.createSnapshot(blob.id)));
    yard.fill(blob, 4, 1);
    const id = runSync(yard.store.createSnapshot(blob.id));
    for (const isZeroed of [true, false]) {
      const target = new FaultyDevice(new SparseMemoryDevice({ sizeBytes: 200 * CLUSTER }));
      const progress: number[][] = [];
      const onProgress = (...each: number[]) => progress.push(each);
      expect(runSync(yard.store.copyBlob(yard.channel, id, target, isZeroed, { onProgress }))).toBe(4);
      expect([target.count('write'), target.count('writeZeroes')]).toEqual([3, isZeroed ? 0 : 3]);
      expect(progress.map(([done, total]) => [done, total])).toEqual([
        [2, 4],
        [3, 4],
        [4, 4],
      ]);
      expect(Buffer.compare(bytesOf(target), yard.contentOf(blob))).toBe(0);
    }
    expect(below.map.allocatedCount).toBe(4);
  });

  test('takes a run of clusters in pieces of eight, and can be aborted between them', () => {
    const yard = new Yard(newDevice());
    const blob = yard.create(200, { thin: false });
    for (let cluster = 0; cluster < 200; cluster++) yard.fill(blob, cluster, 1 + (cluster % 250));
    runSync(yard.store.syncBlob(blob));
    const id = runSync(yard.store.createSnapshot(blob.id));
    const target = new FaultyDevice(new SparseMemoryDevice({ sizeBytes: 200 * CLUSTER }));
    expect(runSync(yard.store.copyBlob(yard.channel, id, target, true))).toBe(200);
    expect(target.count('write')).toBe(200 / 8);
    const abort = new AbortController();
    const copy = yard.store.copyBlob(yard.channel, id, target, true, {
      signal: abort.signal,
      onProgress: () => abort.abort(),
    });
    expect(() => runSync(copy)).toThrow(expect.objectContaining({ code: 'ECANCELED' }));
    expect(target.count('write')).toBe(200 / 8 + 1);
  });

  test('is refused, or fails, and leaves the blob usable', async () => {
    const yard = new Yard(newDevice());
    const { store, channel } = yard;
    const blob = yard.create(10);
    yard.fill(blob, 2, 7);
    yard.fill(blob, 8, 8);
    const refused = (id: bigint, target: BlockDevice, code: string) =>
      expect(() => runSync(store.copyBlob(channel, id, target, false))).toThrow(expect.objectContaining({ code }));
    refused(blob.id, stale(10), 'EPERM');
    const id = runSync(store.createSnapshot(blob.id));
    refused(id, stale(9), 'EINVAL');
    refused(id, new SparseMemoryDevice({ sizeBytes: 10 * CLUSTER, blockLengthBytes: 8192 }), 'EINVAL');
    for (const kind of ['write', 'writeZeroes'] as const) {
      for (const asynchronous of [false, true]) {
        const target = new FaultyDevice(stale(10), { asynchronous });
        target.failAt(2, { kind });
        await expect(run(store.copyBlob(channel, id, target, false))).rejects.toMatchObject({ code: 'EIO' });
        expect(await run(store.copyBlob(channel, id, target, false))).toBe(2);
      }
    }
    await run(store.deleteBlob(id));
  });
});
