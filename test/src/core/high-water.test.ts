/**
 * The high-water mark: after a crash, recovery clears all free clusters that may have data, and few others. The stores
 * have 50,000 clusters of 4 KiB, and the mark is raised by 1024 clusters each time.
 */

import { type Blob, Blobstore, type BlobstoreError, runSync } from '@blobyard/core';
import { FaultyDevice, SparseMemoryDevice } from '@blobyard/io';
import { describe, expect, it } from 'vitest';

const CLUSTER_BYTES = 4096;
const CLUSTERS = 50_000;
const STEP = 1024;

function newDevice(): SparseMemoryDevice {
  return new SparseMemoryDevice({ sizeBytes: CLUSTERS * CLUSTER_BYTES });
}

function newStore(device: SparseMemoryDevice | FaultyDevice): Blobstore {
  return runSync(Blobstore.init(device, { clusterBytes: CLUSTER_BYTES, mdPageCount: 64 }));
}

/** Writes sevens into the first clusters of a new thin blob, without a sync. */
function writeUnsynced(store: Blobstore, clusters: number): Blob {
  const blob = runSync(store.openBlob(runSync(store.createBlob({ clusterCount: clusters, thin: true }))));
  const channel = store.openChannel();
  const sevens = new Uint8Array(CLUSTER_BYTES).fill(7);
  for (let cluster = 0; cluster < clusters; cluster++) channel.writeSync(blob, sevens, cluster, 1);
  return blob;
}

/** The device without `isZeroes`; it adds the number of unmapped blocks to `unmapped`. */
function noting(device: SparseMemoryDevice, unmapped: { blocks: number }): SparseMemoryDevice {
  const openChannel = () => {
    const channel = device.openChannel();
    const { unmap } = channel;
    return Object.assign(channel, {
      unmap: (lba: number, count: number) => {
        unmapped.blocks += count;
        return unmap.call(channel, lba, count);
      },
    });
  };
  return new Proxy(device, {
    get: (target, name) => {
      if (name === 'openChannel') return openChannel;
      if (name === 'isZeroes') return undefined;
      const value = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

describe('the high-water mark', () => {
  it('makes recovery clear the clusters that were written, and few more', () => {
    const device = newDevice();
    const store = newStore(device);
    writeUnsynced(store, 1500); // the mark is raised twice
    runSync(store.abandon());
    const unmapped = { blocks: 0 };
    const again = runSync(Blobstore.load(noting(device, unmapped)));
    expect(unmapped.blocks).toBeGreaterThanOrEqual(1500);
    expect(unmapped.blocks).toBeLessThan(1500 + 2 * STEP);
    const thick = runSync(again.openBlob(runSync(again.createBlob({ clusterCount: 4000 }))));
    const buffer = new Uint8Array(4000 * CLUSTER_BYTES).fill(1);
    again.openChannel().readSync(thick, buffer, 0, 4000);
    expect(buffer.every((byte) => byte === 0)).toBe(true);
    again.verify();
  });

  it('is removed by a clean unload, which writes the mask of used clusters to its place', () => {
    const device = newDevice();
    const store = newStore(device);
    const blob = writeUnsynced(store, 10);
    const free = store.freeClusterCount;
    runSync(store.closeBlob(blob));
    runSync(store.unload());
    const again = runSync(Blobstore.load(device));
    expect(again.freeClusterCount).toBe(free);
    again.verify();
  });

  it('is kept when it is raised, and by a second crash during recovery', () => {
    const device = newDevice();
    const store = newStore(device);
    writeUnsynced(store, 100);
    runSync(store.abandon());
    const dying = new FaultyDevice(device);
    dying.failAt(1, { kind: 'unmap', code: 'EIO' });
    expect(() => runSync(Blobstore.load(dying))).toThrow(expect.objectContaining({ code: 'EIO' }));
    const again = runSync(Blobstore.load(device));
    const thick = runSync(again.openBlob(runSync(again.createBlob({ clusterCount: 200 }))));
    const buffer = new Uint8Array(200 * CLUSTER_BYTES).fill(1);
    again.openChannel().readSync(thick, buffer, 0, 200);
    expect(buffer.every((byte) => byte === 0)).toBe(true);
  });

  it('makes a write fail if it cannot be raised, and no cluster is allocated then', () => {
    const device = new FaultyDevice(newDevice());
    const store = newStore(device);
    const blob = runSync(store.openBlob(runSync(store.createBlob({ clusterCount: STEP + 1, thin: true }))));
    const channel = store.openChannel();
    for (let cluster = 0; cluster < STEP; cluster++) channel.writeSync(blob, new Uint8Array(CLUSTER_BYTES), cluster, 1);
    const free = store.freeClusterCount;
    device.failAt(1, { kind: 'write', code: 'EIO' });
    const write = () => channel.writeSync(blob, new Uint8Array(CLUSTER_BYTES), STEP, 1);
    expect(write).toThrow(expect.objectContaining<Partial<BlobstoreError>>({ code: 'EIO' }));
    expect(store.freeClusterCount).toBe(free);
    write();
    expect(store.freeClusterCount).toBe(free - 1);
    store.verify();
  });
});
