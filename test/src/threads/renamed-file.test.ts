/** A store's file is renamed, and another store gets its path: all threads go on with the file that was opened. */

import { EventEmitter, once } from 'node:events';
import fs from 'node:fs';
import type { Worker } from 'node:worker_threads';
import { FileDevice } from '@blobyard/io';
import { createStore, openStore, type Store } from '@blobyard/workers';
import { afterEach, describe, onTestFinished, test, vi } from 'vitest';
import { Actor, CLUSTER, expectCode, expectFilled, UNIT } from './actors.js';
import { temporaryFile } from './support.js';

const SIZE = 4096 * 1024;

const newStore = (path: string, threads: number): Promise<Store> =>
  createStore({ device: { kind: 'file', path, create: true, sizeBytes: SIZE }, threads, clusterSizeBytes: CLUSTER });

async function filled(store: Store, byte: number) {
  const blob = await store.create({ name: 'blob', sizeBytes: 4 * CLUSTER });
  await blob.write(new Uint8Array(4 * CLUSTER).fill(byte), 0);
  return blob;
}

/** A store full of ones whose file was renamed, and one full of twos at its former path. */
async function replacedYard(threads: number) {
  const path = await temporaryFile();
  const store = await newStore(path, threads);
  const blob = await filled(store, 1);
  fs.renameSync(path, `${path}.moved`);
  const other = await newStore(path, 0);
  const stranger = await filled(other, 2);
  const expectStranger = async () => {
    expectFilled(await stranger.read(0, 4 * CLUSTER), 2);
    await stranger.close();
    await other.close();
  };
  return { path, store, blob, expectStranger };
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe.each([
  ['inline', 0],
  ['in pool mode', 1],
])('after its file was replaced, a store %s', (_, threads) => {
  test('is attached to by its own file', async () => {
    const { path, store, blob, expectStranger } = await replacedYard(threads);
    const actor = new Actor();
    await actor.do('attach', store.share());
    const { blob: its } = await actor.do('openSync', blob.id);
    expectFilled(await actor.do('readSync', its, 0, 4 * CLUSTER), 1);
    await actor.do('writeSync', its, 0, UNIT, 3);
    expectFilled(await blob.read(0, UNIT), 3);
    await actor.do('detach');
    await blob.close();
    await store.close();
    await expectStranger();
    const again = await openStore({ device: { kind: 'file', path: `${path}.moved` } });
    expectFilled(await (await again.open({ name: 'blob' })).read(0, UNIT), 3);
    await again.close();
  });
});

test('the replacement of a dead worker uses the same file, even if another file is at its path', async () => {
  const started = new EventEmitter();
  const workers: Worker[] = [];
  const onWorker = (worker: Worker) => {
    workers.push(worker);
    started.emit('worker');
  };
  process.on('worker', onWorker);
  onTestFinished(() => void process.off('worker', onWorker));
  const { store, blob, expectStranger } = await replacedYard(1);
  const [, ioWorker] = workers; // the first one is the metadata worker
  const replaced = once(started, 'worker');
  await ioWorker.terminate();
  await replaced;
  expectFilled(await blob.read(0, 4 * CLUSTER), 1);
  await blob.write(new Uint8Array(UNIT).fill(3), 0);
  expectFilled(await blob.read(0, UNIT), 3);
  await blob.close();
  await store.close();
  await expectStranger();
});

test('attached threads read the original file of an external snapshot, even if another file is at its path', async () => {
  const path = await temporaryFile();
  const golden = FileDevice.open({ path, create: true, sizeBytes: 4 * CLUSTER });
  await golden.openChannel().write(new Uint8Array(4 * CLUSTER).fill(7), 0, 0, (4 * CLUSTER) / 4096);
  await golden.close();
  const store = await createStore({
    device: { kind: 'memory', sizeBytes: SIZE },
    clusterSizeBytes: CLUSTER,
    openExternalSnapshot: async () => ({ kind: 'file', path, readOnly: true }),
  });
  const clone = await store.create({ sizeBytes: 4 * CLUSTER, externalSnapshotId: 'golden' });
  const actor = new Actor();
  await actor.do('attach', store.share());
  const { blob: its } = await actor.do('openSync', clone.id);
  fs.renameSync(path, `${path}.moved`);
  fs.writeFileSync(path, new Uint8Array(4 * CLUSTER).fill(8));
  expectFilled(await actor.do('readSync', its, 0, UNIT), 7);
  await actor.do('detach');
  await clone.close();
  await store.close();
});

test('a file that is replaced between locking and opening is not opened, and nothing stays locked', async () => {
  const path = await temporaryFile();
  await (await newStore(path, 0)).close();
  fs.copyFileSync(path, `${path}.other`);
  const openSync = vi.spyOn(fs, 'openSync');
  openSync.mockImplementationOnce((...given) => {
    openSync.mockRestore();
    const fd = fs.openSync(...given); // the file that is about to be locked
    fs.renameSync(path, `${path}.moved`);
    fs.renameSync(`${path}.other`, path);
    return fd;
  });
  await expectCode(openStore({ device: { kind: 'file', path } }), 'ENOENT');
  for (const free of [path, `${path}.moved`]) await (await openStore({ device: { kind: 'file', path: free } })).close();
});
