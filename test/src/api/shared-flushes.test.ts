/**
 * Flushes that are asked for at the same time share flushes of the device, and no operation flushes more than needed.
 */

import { type Blob, SparseMemoryDevice, type Store } from 'blobyard';
import { beforeEach, expect, test, vi } from 'vitest';
import { CountingDevice } from './counting-device.js';
import { bytes, CLUSTER, isPooled, KiB, MiB, testStore } from './support.js';

/**
 * The most flushes of the device for callers that begin at once. It is above 1: some come too late for the first one.
 */
const SHARED_MAX = 8;

/**
 * The same limit in this mode. With other threads it is higher: how many requests they take at once depends on timing.
 * @param alone - the flushes of the device for the same number of callers one after another
 */
function sharedMax(alone: number): number {
  return isPooled ? alone / 2 : SHARED_MAX;
}

beforeEach(() => {
  // The clock stands still, so that no work is put off to the next turn of the event loop, however busy the machine is.
  vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 1000);
  return () => vi.restoreAllMocks();
});

const REQUESTS = 64;
const DEVICES = [
  ['at once', false],
  ['later', true],
] as const;

function countingDevice(isLater = false): CountingDevice {
  return new CountingDevice(new SparseMemoryDevice({ sizeBytes: 64 * MiB, blockLengthBytes: 512 }), { isLater });
}

async function makeBlobs(store: Store, count: number, thin: boolean): Promise<Blob[]> {
  const blobs: Blob[] = [];
  for (let made = 0; made < count; made++) blobs.push(await store.create({ sizeBytes: 64 * CLUSTER, thin }));
  await store.flush();
  return blobs;
}

test.each(DEVICES)('flushes after overwrites are shared; the device answers %s', async (_, isLater) => {
  const device = countingDevice(isLater);
  const store = await testStore(device);
  for (const count of [1, 16]) {
    const blobs = await makeBlobs(store, count, false);
    device.take();
    const flushed = Array.from({ length: REQUESTS }, async (_each, at) => {
      const blob = blobs[at % count];
      await blob.write(bytes(4 * KiB, at), at * 4 * KiB);
      await blob.flush();
    });
    await Promise.all(flushed);
    const { flushes } = device.take();
    expect(flushes).toBeGreaterThan(0);
    expect(flushes, `${count} blobs`).toBeLessThanOrEqual(sharedMax(REQUESTS));
    for (const blob of blobs) await blob.close();
  }
});

test.each(DEVICES)('flushes after first writes are shared; the device answers %s', async (_, isLater) => {
  const device = countingDevice(isLater);
  const store = await testStore(device);
  const blobs = await makeBlobs(store, 16, true);
  device.take();
  const flushed = blobs.map(async (blob, at) => {
    await blob.write(bytes(4 * KiB, at), 0);
    await blob.flush();
  });
  await Promise.all(flushed);
  expect(device.take().flushes).toBeLessThanOrEqual(sharedMax(2 * 16));
  for (const blob of blobs) await blob.close();
});

test.each(DEVICES)('a flush of the store shares flushes, too; the device answers %s', async (_, isLater) => {
  const device = countingDevice(isLater);
  const store = await testStore(device);
  const blobs = await makeBlobs(store, 16, true);
  for (const blob of blobs) await blob.write(bytes(4 * KiB, 1), 0);
  device.take();
  await Promise.all(Array.from({ length: 16 }, () => store.flush()));
  expect(device.take().flushes).toBeLessThanOrEqual(sharedMax(2 * 16));
  for (const blob of blobs) await blob.close();
});

test('blobs that are created at once, or deleted at once, share flushes', async () => {
  const device = countingDevice();
  const store = await testStore(device);
  const [first] = await makeBlobs(store, 1, true); // the store is dirty on disk from here on
  await first.close();
  device.take();
  const blobs = await Promise.all(Array.from({ length: 16 }, () => store.create({ sizeBytes: CLUSTER, thin: true })));
  expect(device.take().flushes).toBeLessThanOrEqual(sharedMax(16));
  await Promise.all(blobs.map((blob) => blob.close()));
  device.take();
  await Promise.all(blobs.map(({ id }) => store.delete(id)));
  expect(device.take().flushes).toBeLessThanOrEqual(sharedMax(2 * 16));
});

test('a first write and its flush make two writes and two flushes of the device', async () => {
  const device = countingDevice();
  const store = await testStore(device);
  const [blob] = await makeBlobs(store, 1, true);
  await blob.write(bytes(4 * KiB, 1), 0);
  await blob.flush();
  device.take();
  for (let cluster = 1; cluster < 5; cluster++) {
    await blob.write(bytes(4 * KiB, cluster), cluster * CLUSTER);
    await blob.flush();
    expect(device.take()).toEqual({ writes: 2, flushes: 2 });
  }
  await blob.write(bytes(4 * KiB, 9), 0);
  await blob.flush();
  expect(device.take()).toEqual({ writes: 1, flushes: 1 });
  await blob.close();
});

test('creating, deleting and snapshots flush the device as often as stated here, and no more', async () => {
  const device = countingDevice();
  const store = await testStore(device);
  const [blob] = await makeBlobs(store, 1, true);
  await blob.write(bytes(4 * KiB, 1), 0);
  await blob.flush();
  const flushesOf = async (operation: () => Promise<unknown>) => {
    device.take();
    await operation();
    return device.take().flushes;
  };
  let snapshot = blob;
  expect(
    await flushesOf(() =>
      store.create({ name: 'other', sizeBytes: CLUSTER, thin: true }).then((other) => other.close()),
    ),
  ).toBe(1);
  expect(await flushesOf(() => store.delete({ name: 'other' }))).toBe(1);
  expect(
    await flushesOf(async () => {
      snapshot = await blob.snapshot();
    }),
  ).toBe(3);
  await blob.write(bytes(4 * KiB, 2), CLUSTER);
  await blob.flush();
  await snapshot.close();
  expect(await flushesOf(() => store.delete(snapshot.id))).toBe(3);
  expect(await blob.read(0, 4 * KiB)).toEqual(bytes(4 * KiB, 1));
  await blob.close();
});
