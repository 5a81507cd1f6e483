/** Opening a store reads the pages of its blobs in runs: the number of requests and blocks, and what if a run fails. */

import { Blobstore, BlobstoreError, type BlockDevice, type DeviceChannel, runSync } from '@blobyard/core';
import { MemoryDevice } from '@blobyard/io';
import { expect, test } from 'vitest';

const MIB = 2 ** 20;
const PAGE = 4096;
/** An upper limit for other blocks: the super block, the masks and the marks. */
const BESIDES = 20;

interface Reads {
  requests: number;
  blocks: number;
}

/** The device, with `read` in the place of its channels' method. */
function withRead(
  device: MemoryDevice,
  read: (channel: DeviceChannel, ...args: Parameters<DeviceChannel['read']>) => ReturnType<DeviceChannel['read']>,
): BlockDevice {
  const openChannel = () => {
    const channel = device.openChannel();
    return new Proxy(channel, {
      get: (target, name) => {
        if (name === 'read') return (...args: Parameters<DeviceChannel['read']>) => read(target, ...args);
        const value = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  };
  return new Proxy(device, {
    get: (target, name) => (name === 'openChannel' ? openChannel : Reflect.get(target, name, target)),
  });
}

/** Makes a store of blobs with a cluster each, deletes those without `stays`, and closes it. Returns the other ids. */
function makeStore(device: MemoryDevice, count: number, stays: (number: number) => boolean): bigint[] {
  const store = runSync(Blobstore.init(device, { clusterBytes: 16384, mdPageCount: 3 * count }));
  const ids = Array.from({ length: count }, () => runSync(store.createBlob({ clusterCount: 1 })));
  const left = ids.filter((_, number) => stays(number));
  for (const id of ids) if (!left.includes(id)) runSync(store.deleteBlob(id));
  runSync(store.unload());
  return left;
}

/** Opens the store, and closes it without a change. */
function open(device: BlockDevice): { ids: bigint[]; damaged: number; clusterCounts: Set<number> } {
  const clusterCounts = new Set<number>();
  const onBlob = ({ clusterCount }: { clusterCount: number }) => void clusterCounts.add(clusterCount);
  const store = runSync(Blobstore.load(device, { onDamage: 'refuse', onBlob }));
  const found = { ids: store.blobIds(), damaged: store.damaged.length, clusterCounts };
  runSync(store.abandon());
  return found;
}

function readsOf(device: MemoryDevice): { reads: Reads; found: ReturnType<typeof open> } {
  const reads: Reads = { requests: 0, blocks: 0 };
  const counting = withRead(device, (channel, buffer, offset, lba, count) => {
    reads.requests++;
    reads.blocks += count;
    return channel.read(buffer, offset, lba, count);
  });
  return { reads, found: open(counting) };
}

test('many blobs with neighbouring pages are read with few requests', () => {
  const device = MemoryDevice.create({ sizeBytes: 64 * MIB });
  const ids = makeStore(device, 1000, () => true);
  const { reads, found } = readsOf(device);
  expect(found).toEqual({ ids, damaged: 0, clusterCounts: new Set([1]) });
  expect(reads.requests).toBeLessThan(2000 / 100 + BESIDES); // 2000 pages are in use
  expect(reads.blocks).toBeLessThan(2000 + 256 + BESIDES);
});

test('blobs with pages far apart are read one by one: at most four pages are read for each page in use', () => {
  const device = MemoryDevice.create({ sizeBytes: 64 * MIB });
  const ids = makeStore(device, 1000, (number) => number % 50 === 0);
  const { reads, found } = readsOf(device);
  expect(found).toEqual({ ids, damaged: 0, clusterCounts: new Set([1]) });
  expect(reads.blocks).toBeLessThan(4 * 2 * ids.length + BESIDES);
});

test('if a run cannot be read, each of its pages is read by itself', () => {
  const device = MemoryDevice.create({ sizeBytes: 64 * MIB });
  const ids = makeStore(device, 100, () => true);
  const failing = withRead(device, (channel, buffer, offset, lba, count) => {
    const isRun = count > 1 && buffer.length === 256 * PAGE;
    if (isRun) throw new BlobstoreError('EIO', 'a block in the middle cannot be read');
    return channel.read(buffer, offset, lba, count);
  });
  expect(open(failing)).toEqual({ ids, damaged: 0, clusterCounts: new Set([1]) });
});
