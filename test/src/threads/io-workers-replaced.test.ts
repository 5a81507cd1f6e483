/**
 * I/O workers that die and cannot be replaced at once: the store reports it, tries again after pauses, and works again
 * by itself.
 */

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Blob, createStore, openStore, type Store } from 'blobyard';
import type { WorkerLost, WorkerReplaced } from 'blobyard/types';
import { describe, expect, onTestFinished, test } from 'vitest';
import { bytes, CLUSTER, expectCode, expectSame, MiB } from '../api/support.js';
import { manyTurns, until, watched } from './actors.js';
import { poison } from './mortal-device.js';
import { OPENING, UnopenableDevice } from './unopenable-device.js';

const REFUSED = /no I\/O worker is left, and none could be started \(.*\); the store goes on trying/;
const GONE = /the test wants the device to be gone/;

interface Watched {
  readonly device: UnopenableDevice;
  readonly store: Store;
  readonly blob: Blob;
  readonly lost: WorkerLost[];
  readonly replaced: WorkerReplaced[];
}

/** A store with data in its blob, whose events are recorded. */
async function watchedStore(threads: number): Promise<Watched> {
  const device = new UnopenableDevice(16 * MiB);
  const store = await createStore({ device: device.spec, threads, clusterSizeBytes: CLUSTER });
  onTestFinished(() => store.close());
  const [lost, replaced]: [WorkerLost[], WorkerReplaced[]] = [[], []];
  store.on('worker-lost', (event) => lost.push(event)).on('worker-replaced', (event) => replaced.push(event));
  const blob = await store.create({ sizeBytes: 4 * MiB, thin: true });
  await blob.write(bytes(MiB), 0);
  return { device, store, blob, lost, replaced };
}

/** Makes the worker die that gets this write. */
async function killOne(blob: Blob): Promise<void> {
  await expectCode(blob.write(poison('exit'), 2 * MiB), 'EIO', /the I\/O worker that had this request died/);
}

describe.each([1, 2])('of %i workers all', (threads) => {
  test('die while the device cannot be opened: requests fail with the reason until it can be opened again', async () => {
    const { device, store, blob, lost, replaced } = await watchedStore(threads);
    device.opening = OPENING.FAILS;
    for (let left = threads; left > 0; left--) await killOne(blob);
    await until(() => device.failures >= 2 * threads);
    expect(lost.map(({ workersLeft }) => workersLeft)).toEqual(threads === 1 ? [0] : [1, 0]);
    for (const { error } of lost) expect(error).toMatchObject({ name: 'BlobstoreError', code: 'EIO' });
    const refused = await blob.read(0, 4096).catch((error: unknown) => error);
    expect(refused).toMatchObject({ name: 'BlobstoreError', code: 'EIO', cause: { code: 'ENXIO' } });
    expect((refused as Error).message).toMatch(REFUSED);
    expect((refused as Error).message).toMatch(GONE);
    await expectCode(blob.write(bytes(10), 5), 'EIO', REFUSED);
    await expectCode(blob.readv(0, [new Uint8Array(10), new Uint8Array(8182)]), 'EIO', REFUSED);
    await expectCode(blob.trim(0, CLUSTER), 'EIO', REFUSED);
    expectSame(blob.readSync(0, 100), bytes(MiB).subarray(0, 100)); // needs no worker, nor does what follows
    await blob.flush();
    await (await blob.snapshot()).close();
    expect(replaced).toEqual([]);
    device.opening = OPENING.WORKS;
    await until(() => replaced.length === threads);
    for (const { tries } of replaced) expect(tries).toBeGreaterThan(1);
    expect(replaced.map(({ workers }) => workers)).toEqual(threads === 1 ? [1] : [1, 2]);
    expectSame(await blob.read(0, MiB), bytes(MiB));
    await killOne(blob); // the next death is handled the same way
    await until(() => replaced.length === threads + 1);
    expectSame(await blob.read(0, MiB), bytes(MiB));
    await store.close();
    expect(lost.length).toBe(threads + 1);
  });
});

test('requests wait for the first try to replace the worker, and the new worker executes them', async () => {
  const { device, blob } = await watchedStore(1);
  device.gate.shut();
  await killOne(blob);
  const reading = watched(blob.read(0, MiB));
  await device.gate.held();
  await manyTurns();
  expect(reading.isSettled).toBe(false);
  device.gate.open();
  expectSame(await reading.promise, bytes(MiB));
});

test('requests that wait for the first try fail if that fails', async () => {
  const { device, blob, replaced } = await watchedStore(1);
  device.gate.shut();
  device.opening = OPENING.FAILS;
  await killOne(blob);
  const waiting = Promise.allSettled([blob.read(0, MiB), blob.write(bytes(10), 5), blob.writeZeroes(0, 4096)]);
  await device.gate.held();
  device.gate.open();
  for (const outcome of await waiting) {
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'EIO' } });
    expect(((outcome as PromiseRejectedResult).reason as Error).message).toMatch(REFUSED);
  }
  device.opening = OPENING.WORKS;
  await until(() => replaced.length === 1);
  expectSame(await blob.read(0, MiB), bytes(MiB));
});

test('no request fails while one of two workers cannot be replaced, and it is replaced later', async () => {
  const { device, blob, lost, replaced } = await watchedStore(2);
  device.opening = OPENING.FAILS;
  await killOne(blob);
  await until(() => device.failures >= 2);
  expect(lost).toMatchObject([{ workersLeft: 1 }]);
  for (let round = 0; round < 20; round++) expectSame(await blob.read(0, MiB), bytes(MiB));
  device.opening = OPENING.WORKS;
  await until(() => replaced.length === 1);
  expect(replaced).toMatchObject([{ workers: 2 }]);
  expectSame(await blob.read(0, MiB), bytes(MiB));
});

test.each([
  ['fails', OPENING.FAILS, /none could be started \(.*gone\)/],
  ['ends the thread', OPENING.ENDS_THREAD, /none could be started \(.*code.* 9\)/],
] as const)('opening that %s is tried again after pauses, not in a row', async (_, opening, why) => {
  const { device, blob, replaced } = await watchedStore(1);
  device.opening = opening;
  const begin = performance.now();
  await killOne(blob);
  await until(() => device.failures >= 6);
  const pausesMs = 50 + 100 + 200 + 400 + 800;
  expect(performance.now() - begin).toBeGreaterThan(pausesMs - 10); // timers may be early by a millisecond
  await expectCode(blob.read(0, 4096), 'EIO', why);
  device.opening = OPENING.WORKS;
  await until(() => replaced.length === 1);
  expectSame(await blob.read(0, MiB), bytes(MiB));
});

test('a store that cannot replace its workers can be closed, and does not try any more', async () => {
  const { device, store, blob, replaced } = await watchedStore(2);
  await blob.flush();
  device.opening = OPENING.FAILS;
  await killOne(blob);
  await killOne(blob);
  await until(() => device.failures >= 4);
  await store.close();
  const { failures } = device;
  device.opening = OPENING.WORKS;
  await new Promise((resolve) => setTimeout(resolve, 500)); // the next pause would be over
  expect([device.failures, replaced.length]).toEqual([failures, 0]);
  await (await openStore({ device: device.memory })).close();
});

test('a store can be closed in the middle of a try', async () => {
  const { device, store, blob, replaced } = await watchedStore(1);
  device.gate.shut();
  await killOne(blob);
  await device.gate.held();
  await store.close(); // ends the thread that waits at the gate
  expect(replaced).toEqual([]);
});

// The limit is set by `ulimit` of a shell.
test.skipIf(process.platform === 'win32')('a worker is replaced later if no descriptor is left for a thread', () => {
  const child = fileURLToPath(new URL('../../dist/threads/crowded-child.js', import.meta.url));
  const command = ['-c', 'ulimit -n 256; exec "$0" "$@"', process.execPath, child];
  const { stdout, stderr } = spawnSync('sh', command, { encoding: 'utf8', timeout: 60_000 });
  expect(stderr).toBe('');
  expect(stdout.trim().split('\n')).toEqual([
    'open',
    'lost, 0 left',
    'EIO EMFILE',
    'replaced, 1 there',
    'read 7',
    'closed',
  ]);
});
