/**
 * A custom device may throw anything. By every call it reaches the user as a `BlobstoreError`, with the thrown value as
 * its cause.
 */

import { Worker } from 'node:worker_threads';
import { check, createStore, MemoryDevice, openStore, type Store } from 'blobyard';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Calls, CLUSTER, channelCalls, endsOf, promiseCalls, syncCalls, WRAPPED } from './raw-calls.js';
import { RAW, RawDevice } from './raw-device.js';
import type { RawThreadData } from './raw-thread.js';

const THREAD = new URL('../../dist/devices-failing/raw-thread.js', import.meta.url);

const WAYS = [
  ['inline', 0, false],
  ['inline, asynchronous', 0, true],
  ['pool', 1, false],
  ['pool, asynchronous', 1, true],
] as const;

async function rawStore(threads: number, isLater: boolean) {
  const device = new RawDevice(isLater);
  const store = await createStore({ device: device.spec, threads, clusterSizeBytes: CLUSTER });
  onTestFinished(async () => {
    device.fail(RAW.NOTHING);
    await store.close().catch(() => undefined);
  });
  const blob = await store.create({ name: 'raw', sizeBytes: 16 * CLUSTER, thin: true });
  await blob.write(new Uint8Array(CLUSTER).fill(1), 0);
  await blob.flush();
  return { device, store, blob };
}

/** Expects that all calls fail with a `BlobstoreError` whose cause is the error of the device. */
async function expectWrapped(calls: Calls): Promise<void> {
  expectAllWrapped(await endsOf(calls));
}

function expectAllWrapped(ends: Record<string, string>): void {
  const wanted = Object.fromEntries(Object.keys(ends).map((name) => [name, WRAPPED]));
  expect(ends).toEqual(wanted);
}

describe.each(WAYS)('%s', (_, threads, isLater) => {
  test('each call of the opener fails with the wrapped error', async () => {
    const { device, store, blob } = await rawStore(threads, isLater);
    const snapshot = await (await store.create({ name: 'other', sizeBytes: CLUSTER })).snapshot();
    const clone = await snapshot.clone();
    const changed = await store.create({ sizeBytes: CLUSTER, thin: true });
    await changed.write(new Uint8Array(CLUSTER).fill(1), 0);
    device.fail(RAW.TRANSFERS);
    await expectWrapped(promiseCalls(blob));
    if (!isLater) await expectWrapped(syncCalls(blob));
    if (threads === 0) await expectWrapped(channelCalls(store.channel, blob.engine, !isLater));
    await expectWrapped({
      'blob.sync': () => changed.sync(),
      'blob.resize': () => blob.resize(20 * CLUSTER),
      'blob.snapshot': () => blob.snapshot(),
      'blob.clone': () => snapshot.clone(),
      'blob.inflate': () => clone.inflate(),
      'blob.setReadOnly': () => blob.setReadOnly(),
      'xattrs.set': () => blob.xattrs.set('x', 'y'),
      'blob.copyTo': () => snapshot.copyTo(MemoryDevice.create({ sizeBytes: 1 << 20 })),
      'blob.close': () => changed.close(),
      'store.create': () => store.create(),
      'store.setSuperBlob': () => store.setSuperBlob(blob.id),
      'store.flush': () => store.flush(),
      'store.dump': () => store.dump(),
      'store.grow': () => store.grow(),
      'store.close': () => store.close(),
    });
    device.fail(RAW.NOTHING);
  });

  test('so do deleting, destroying, and copying to such a device', async () => {
    const { device, store, blob } = await rawStore(threads, isLater);
    const snapshot = await blob.snapshot({ name: 'snapshot' });
    await blob.close();
    const target = new RawDevice(isLater);
    for (const what of [RAW.TRANSFERS, RAW.OPENING, RAW.CHANNELS, RAW.CLOSING]) {
      target.fail(what);
      await expectWrapped({ [`blob.copyTo ${what}`]: () => snapshot.copyTo(target.spec) });
    }
    device.fail(RAW.TRANSFERS);
    await expectWrapped({
      'store.delete': () => store.delete({ name: 'raw' }),
      'store.destroy': () => store.destroy(),
    });
  });

  test('so do opening, making and checking a store, and closing its device', async () => {
    const { device, store } = await rawStore(threads, isLater);
    await store.close();
    for (const what of [RAW.TRANSFERS, RAW.OPENING, RAW.CHANNELS]) {
      device.fail(what);
      await expectWrapped({
        [`openStore ${what}`]: () => openStore({ device: device.spec, threads }),
        [`createStore ${what}`]: () => createStore({ device: device.spec, threads }),
        [`check ${what}`]: () => check(device.spec),
      });
    }
    device.fail(RAW.NOTHING);
    const again = await openStore({ device: device.spec, threads });
    device.fail(RAW.CLOSING);
    await expectWrapped({ 'store.close': () => again.close(), check: () => check(device.spec) });
    device.fail(RAW.CLOSING_BY_IO_WORKERS);
    const last = await openStore({ device: device.spec, threads });
    if (threads === 0) await last.close();
    else await expectWrapped({ 'store.close': () => last.close() });
  });

  test('so does each call of an attached thread', async () => {
    const { device, store, blob } = await rawStore(threads, isLater);
    expectAllWrapped(await endsOnThread(store, { id: blob.id, control: device.control, hasSync: !isLater }));
    expect([...(await blob.read(200_000, 2))]).toEqual([1, 1]);
    await blob.close();
    await store.delete(blob.id); // the thread has left no open handle
    await store.close();
  });
});

/** The outcome of each call of an attached thread, as text. */
async function endsOnThread(store: Store, data: Omit<RawThreadData, 'handle'>): Promise<Record<string, string>> {
  const workerData: RawThreadData = { handle: store.share(), ...data };
  const thread = new Worker(THREAD, { workerData });
  onTestFinished(async () => void (await thread.terminate()));
  return new Promise((resolve, reject) => {
    thread.once('message', resolve);
    thread.once('error', reject);
  });
}
