/** The event `low-space`, which comes before a store is full. */

import { MemoryDevice, type Store } from 'blobyard';
import type { LowSpace } from 'blobyard/types';
import { expect, onTestFinished, test } from 'vitest';
import { bytes, CLUSTER, createStore, expectCode, MiB, openStore } from '../api/support.js';

const UNIT = 512;

function device(): MemoryDevice {
  return MemoryDevice.create({ sizeBytes: MiB, maxSizeBytes: 2 * MiB, blockLengthBytes: UNIT, arenaBytes: 64 * 1024 });
}

async function lowStore(options: object = {}, on = device()): Promise<{ store: Store; told: LowSpace[] }> {
  const store = await createStore({ device: on, clusterSizeBytes: CLUSTER, mdPageCount: 40, ...options });
  onTestFinished(() => store.close());
  const told: LowSpace[] = [];
  store.on('low-space', (lowSpace) => told.push(lowSpace));
  return { store, told };
}

/** Waits until events on their way have arrived: by a call to the metadata thread, and some turns of the event loop. */
async function settled(store: Store): Promise<void> {
  await store.stats();
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

test('low-space comes once when free space falls below the threshold, before a write fails', async () => {
  const { store, told } = await lowStore({ lowSpaceBytes: 5 * CLUSTER });
  const { freeBytes, totalBytes } = await store.stats();
  const blob = await store.create({ sizeBytes: freeBytes, thin: true });
  const clusters = freeBytes / CLUSTER;
  for (let at = 0; at < clusters - 5; at++) await blob.write(bytes(UNIT), at * CLUSTER);
  await settled(store);
  expect(told).toEqual([]);
  await blob.write(bytes(UNIT), (clusters - 5) * CLUSTER);
  await settled(store);
  const event = { freeBytes: 4 * CLUSTER, totalBytes, thresholdBytes: 5 * CLUSTER };
  expect(told).toEqual([event]);
  for (let at = clusters - 4; at < clusters; at++) await blob.write(bytes(UNIT), at * CLUSTER);
  await settled(store);
  expect(told).toEqual([event]);
});

test('low-space comes again only after the free space was a quarter above the threshold', async () => {
  const { store, told } = await lowStore({ lowSpaceBytes: 8 * CLUSTER });
  const { freeBytes } = await store.stats();
  const most = await store.create({ sizeBytes: freeBytes - 8 * CLUSTER });
  const some = await store.create({ sizeBytes: 3 * CLUSTER, thin: true });
  await settled(store);
  expect(told.length).toBe(0);
  await some.write(bytes(UNIT), 0);
  await settled(store);
  expect(told.length).toBe(1);
  await some.trim(0, CLUSTER);
  await some.sync();
  expect((await store.stats()).freeBytes).toBe(8 * CLUSTER); // less than a quarter above the threshold
  await some.write(bytes(UNIT), 0);
  await settled(store);
  expect(told.length).toBe(1);
  await most.resize(most.sizeBytes - 3 * CLUSTER);
  expect((await store.stats()).freeBytes).toBe(10 * CLUSTER);
  await some.write(bytes(UNIT), CLUSTER);
  await settled(store);
  expect(told.length).toBe(1); // 9 clusters are free, which is above the threshold
  await some.write(bytes(UNIT), 2 * CLUSTER);
  const more = await store.create({ sizeBytes: CLUSTER });
  await settled(store);
  expect(told.map((event) => event.freeBytes / CLUSTER)).toEqual([7, 7]);
  await more.close();
});

test('the threshold is a twentieth of the store, grows with it, and 0 switches low-space off', async () => {
  const memory = device();
  const { store, told } = await lowStore({}, memory);
  const { freeBytes, totalBytes } = await store.stats();
  const thick = await store.create({ sizeBytes: freeBytes - 2 * CLUSTER });
  await settled(store);
  expect(told).toEqual([{ freeBytes: 2 * CLUSTER, totalBytes, thresholdBytes: Math.ceil(totalBytes * 0.05) }]);
  memory.resize((2 * MiB) / UNIT);
  await store.grow();
  const grown = await store.stats();
  await thick.resize(thick.sizeBytes + grown.freeBytes);
  await settled(store);
  expect(told[1]).toEqual({
    freeBytes: 0,
    totalBytes: grown.totalBytes,
    thresholdBytes: Math.ceil(grown.totalBytes * 0.05),
  });
  const silent = await lowStore({ lowSpaceBytes: 0 });
  await silent.store.create({ sizeBytes: (await silent.store.stats()).freeBytes });
  await settled(silent.store);
  expect(silent.told).toEqual([]);
});

test('low-space comes right after the opening of a store that is that full', async () => {
  const memory = device();
  const { store } = await lowStore({}, memory);
  await store.create({ sizeBytes: (await store.stats()).freeBytes });
  await store.close();
  const again = await openStore({ device: memory });
  onTestFinished(() => again.close());
  const event = await new Promise<LowSpace>((resolve) => again.once('low-space', resolve));
  expect(event.freeBytes).toBe(0);
});

test('a listener that throws, rejects or fills the store does no harm, and the others are called', async () => {
  const { store, told } = await lowStore({ lowSpaceBytes: 30 * CLUSTER });
  const warnings: string[] = [];
  const onWarning = ({ name }: Error) => warnings.push(name);
  process.on('warning', onWarning);
  onTestFinished(() => void process.off('warning', onWarning));
  const blob = await store.create({ sizeBytes: 60 * CLUSTER, thin: true });
  let inner: Promise<void> | undefined;
  store.once('low-space', () => {
    throw new Error('a listener of the test');
  });
  store.once('low-space', () => Promise.reject(new Error('a listener of the test')));
  store.on('low-space', () => {
    blob.writeSync(bytes(UNIT), 50 * CLUSTER);
    inner = blob.resize(55 * CLUSTER);
  });
  const never = () => expect.fail('it was taken away');
  store.on('low-space', never).off('low-space', never).off('low-space', never);
  const { freeBytes } = await store.stats();
  for (let at = 0; at <= freeBytes / CLUSTER - 30; at++) await blob.write(bytes(UNIT), at * CLUSTER);
  await settled(store);
  await inner;
  await settled(store);
  expect(told.length).toBe(1);
  expect(warnings).toEqual(['BlobyardWarning', 'BlobyardWarning']);
  expect(blob.sizeBytes).toBe(55 * CLUSTER);
  await expectCode(() => store.on('no such event' as never, never as never), 'EINVAL');
  await expectCode(() => store.on('low-space', 5 as never), 'EINVAL');
  await expectCode(createStore({ device: device(), lowSpaceBytes: -1 }), 'EINVAL');
});
