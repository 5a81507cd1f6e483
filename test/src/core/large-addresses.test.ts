/** Devices of 64 TiB, with far more than 2^32 blocks: data at their end is written and read as anywhere else. */

import { type Blob, Blobstore, type Channel, runSync, SuperBlock } from '@blobyard/core';
import { SparseMemoryDevice } from '@blobyard/io';
import { describe, expect, test } from 'vitest';

const TIB = 2 ** 40;
const MIB = 2 ** 20;
const GIB = 2 ** 30;
const MASK_HEADER_BYTES = 5;

function readDevice(device: SparseMemoryDevice, position: number, length: number): Uint8Array {
  const channel = device.openChannel();
  const { blockLengthBytes } = device;
  const bytes = new Uint8Array(length);
  void channel.read(bytes, 0, position / blockLengthBytes, length / blockLengthBytes);
  channel.close();
  return bytes;
}

function writeDevice(device: SparseMemoryDevice, position: number, bytes: Uint8Array): void {
  const channel = device.openChannel();
  const { blockLengthBytes } = device;
  void channel.write(bytes, 0, position / blockLengthBytes, bytes.length / blockLengthBytes);
  channel.close();
}

/** Marks all clusters of an unloaded store but the last ones as used, so that these are allocated next. */
function useAllButLast(device: SparseMemoryDevice, freeCount: number): void {
  const { clusterMask, sizeBytes, clusterBytes } = new SuperBlock(readDevice(device, 0, 4096));
  const mask = readDevice(device, clusterMask.start * 4096, clusterMask.count * 4096);
  const clusterCount = sizeBytes / clusterBytes;
  const bytesUsed = Math.floor((clusterCount - freeCount) / 8);
  mask.fill(0xff, MASK_HEADER_BYTES, MASK_HEADER_BYTES + bytesUsed);
  writeDevice(device, clusterMask.start * 4096, mask);
}

function clustersOf(blob: Blob): number[] {
  return Array.from({ length: blob.clusterCount }, (_, index) => blob.clusterAt(index));
}

/** The value of the bytes in a range of a blob. Expects all of them to be equal. */
function readFill(channel: Channel, blob: Blob, offset: number, count: number, ioUnitBytes: number): number {
  const bytes = new Uint8Array(count * ioUnitBytes);
  channel.readSync(blob, bytes, offset, count);
  expect(bytes.every((byte) => byte === bytes[0])).toBe(true);
  return bytes[0];
}

describe.each([
  ['blocks of 512 bytes, runs in the chain', 512, false],
  ['blocks of 512 bytes, extent pages', 512, true],
  ['blocks of 4096 bytes, extent pages', 4096, true],
])('at the end of a device of 64 TiB: %s', (_, blockLengthBytes, useExtentTable) => {
  const FREE = 16;

  test('writes, snapshots, copy-on-write, deletions and a reload work', () => {
    const device = new SparseMemoryDevice({ sizeBytes: 64 * TIB, blockLengthBytes });
    runSync(runSync(Blobstore.init(device, { clusterBytes: MIB, mdPageCount: 64 })).unload());
    useAllButLast(device, FREE);
    const clusterCount = (64 * TIB) / MIB;
    let store = runSync(Blobstore.load(device));
    expect(store.freeClusterCount).toBe(FREE);
    const perCluster = store.geometry.ioUnitsPerCluster;
    let channel = store.openChannel();
    const fill = (value: number) => new Uint8Array(MIB).fill(value);

    const id = runSync(store.createBlob({ clusterCount: 4, thin: true, useExtentTable }));
    let blob = runSync(store.openBlob(id));
    for (let cluster = 0; cluster < 4; cluster++)
      channel.writeSync(blob, fill(cluster + 1), cluster * perCluster, perCluster);
    expect(clustersOf(blob)).toEqual([0, 1, 2, 3].map((index) => clusterCount - FREE + index));
    expect(readDevice(device, (clusterCount - FREE + 2) * MIB, 4096)[0]).toBe(3);

    const snapshotId = runSync(store.createSnapshot(id));
    channel.writeSync(blob, fill(9).subarray(0, blockLengthBytes), perCluster + 5, 1); // copies a cluster
    expect(clustersOf(blob)).toEqual([0, clusterCount - FREE + 4, 0, 0]);
    const cloneId = runSync(store.createClone(snapshotId));
    runSync(store.inflateBlob(channel, cloneId));
    const thickId = runSync(store.createBlob({ clusterCount: FREE - 9, useExtentTable }));
    const thick = runSync(store.openBlob(thickId));
    expect(store.freeClusterCount).toBe(0);
    expect(clustersOf(thick).at(-1)).toBe(clusterCount - 1);
    channel.writeSync(thick, fill(0xee), (FREE - 10) * perCluster, perCluster);
    expect(readDevice(device, 64 * TIB - 4096, 4096).every((byte) => byte === 0xee)).toBe(true);
    expect(() => channel.writeSync(blob, fill(1), 0, 1)).toThrow(expect.objectContaining({ code: 'ENOSPC' }));
    store.verify();

    runSync(store.closeBlob(blob));
    runSync(store.closeBlob(thick));
    runSync(store.closeChannel(channel));
    runSync(store.unload());
    for (const forceRecover of [false, true]) {
      store = runSync(Blobstore.load(device, { forceRecover }));
      expect(store.damaged).toEqual([]);
      expect(store.freeClusterCount).toBe(forceRecover ? store.dataClusterCount - FREE : 0);
      channel = store.openChannel();
      blob = runSync(store.openBlob(id));
      const snapshot = runSync(store.openBlob(snapshotId));
      const clone = runSync(store.openBlob(cloneId));
      for (let cluster = 0; cluster < 4; cluster++) {
        for (const reader of [snapshot, clone]) {
          expect(readFill(channel, reader, cluster * perCluster, perCluster, blockLengthBytes)).toBe(cluster + 1);
        }
        expect(readFill(channel, blob, cluster * perCluster, 5, blockLengthBytes)).toBe(cluster + 1);
      }
      expect(readFill(channel, blob, perCluster + 5, 1, blockLengthBytes)).toBe(9);
      expect(readFill(channel, blob, perCluster + 6, perCluster - 6, blockLengthBytes)).toBe(2);
      for (const one of [clone, snapshot, blob]) runSync(store.closeBlob(one));
      if (!forceRecover) {
        runSync(store.deleteBlob(thickId));
        expect(store.freeClusterCount).toBe(FREE - 9);
        expect(readDevice(device, 64 * TIB - 4096, 4096).every((byte) => byte === 0)).toBe(true);
        const again = runSync(store.createBlob({ clusterCount: FREE - 9, useExtentTable }));
        expect(store.freeClusterCount).toBe(0);
        expect(again).toBe(thickId);
      }
      store.verify();
      runSync(store.closeChannel(channel));
      runSync(store.unload());
    }
  });
});

describe.each([512, 4096])('a blob of 60,000 clusters of 1 GiB, io units of %i bytes', (blockLengthBytes) => {
  test('is written and read at its end, also through a snapshot', () => {
    const device = new SparseMemoryDevice({ sizeBytes: 64 * TIB, blockLengthBytes });
    let store = runSync(Blobstore.init(device, { clusterBytes: GIB, mdPageCount: 512 }));
    let channel = store.openChannel();
    const id = runSync(store.createBlob({ clusterCount: 60_000, thin: true }));
    let blob = runSync(store.openBlob(id));
    const end = store.ioUnitCount(blob);
    expect(end * blockLengthBytes).toBe(60_000 * GIB);
    const content = new Uint8Array(8 * blockLengthBytes).fill(0x5a);
    channel.writeSync(blob, content, end - 8, 8);
    expect(store.nextAllocated(blob, 0)).toBe(end - GIB / blockLengthBytes);
    const snapshotId = runSync(store.createSnapshot(id));
    channel.writeSync(blob, content.fill(0xa5), end - 4, 1);
    channel.writeSync(blob, content, 2 ** 32 + 3, 1);
    expect(() => channel.writeSync(blob, content, end, 1)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    const check = () => {
      expect(readFill(channel, blob, end - 8, 4, blockLengthBytes)).toBe(0x5a);
      expect(readFill(channel, blob, end - 4, 1, blockLengthBytes)).toBe(0xa5);
      expect(readFill(channel, blob, end - 3, 3, blockLengthBytes)).toBe(0x5a);
      expect(readFill(channel, blob, 2 ** 32 + 3, 1, blockLengthBytes)).toBe(0xa5);
      expect(readFill(channel, blob, 2 ** 32 + 4, 100, blockLengthBytes)).toBe(0);
      expect(readFill(channel, blob, 3, 1, blockLengthBytes)).toBe(0);
    };
    check();
    runSync(store.syncBlob(blob));
    runSync(store.abandon());
    store = runSync(Blobstore.load(device));
    channel = store.openChannel();
    blob = runSync(store.openBlob(id));
    check();
    runSync(store.deleteBlob(snapshotId));
    check();
    store.verify();
  });
});
