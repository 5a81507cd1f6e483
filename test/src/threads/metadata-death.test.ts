/** The death of the metadata worker in pool mode. */

import { MemoryDevice } from 'blobyard';
import { describe, expect, test } from 'vitest';
import { openStoreOf } from '../../../packages/workers/dist/open/open-store.js';
import { bytes, CLUSTER, expectCode, expectSame, MiB } from '../api/support.js';
import { until } from './actors.js';
import { MORTAL_PARTS } from './parts.js';
import { createPooled, openPooled, temporaryFile } from './support.js';

const DEATHS = [
  ['exits', 'exit', /exited with code 3/],
  ['throws', 'throw', /a bug in the metadata worker/],
  ['leaves a rejection unhandled', 'reject', /nobody catches this/],
  ['is terminated', 'terminate', /exited with code 1/],
] as const;

describe.each(DEATHS)('a metadata worker that %s', (_, how, why) => {
  test('makes operations under way and later ones fail, and the next opening recovers', async () => {
    const path = await temporaryFile();
    const device = { kind: 'file', path } as const;
    const { store, parts } = await createPooled({
      device: { ...device, create: true, sizeBytes: 4 * MiB },
      clusterSizeBytes: CLUSTER,
    });
    const blob = await store.create({ sizeBytes: 8 * CLUSTER, thin: true, name: 'kept' });
    await blob.write(bytes(5000), 100);
    await blob.flush();
    const told: string[] = [];
    store.on('failed', ({ code, message }) => told.push(`${code}: ${message}`));
    parts.kill(how);
    const underWay = [
      ...Array.from({ length: 20 }, () => store.stats()),
      ...Array.from({ length: 20 }, (_, index) => blob.read(index * 4096, new Uint8Array(4096))),
      ...Array.from({ length: 20 }, (_, index) => blob.write(bytes(100), (index + 2) * 4096 + 7)),
    ];
    const failed = (await Promise.allSettled(underWay)).filter((outcome) => outcome.status === 'rejected');
    await until(() => parts.events.length > 0); // all operations may have been done before the worker died
    for (const { reason } of failed) {
      expect(reason).toMatchObject({ name: 'BlobstoreError', code: 'EIO' });
      expect((reason as Error).message).toMatch(/open it again/);
    }
    expect(told).toEqual([expect.stringMatching(why)]);
    await expectCode(store.create(), 'EIO', why);
    await expectCode(blob.read(0, 512), 'EIO', why);
    await expectCode(blob.write(new Uint8Array(4096), 0), 'EIO', why);
    await expectCode(() => blob.readSync(0, 512), 'EIO', why);
    await expectCode(() => blob.createReadStream(), 'EIO', why);
    await expectCode(() => store.allocate(1), 'EIO', why);
    await expectCode(blob.xattrs.list(), 'EIO', why);
    expect([blob.sizeBytes, blob.name, blob.isClosed, store.isClosed]).toEqual([8 * CLUSTER, 'kept', false, false]);
    expect(parts.events).toEqual(['plane told of death']);
    await expectCode(openStoreOf({ device, threads: 1 }, MORTAL_PARTS), 'EBUSY'); // I/O workers may still be writing
    await expectCode(store.close(), 'EIO', why);
    await expectCode(store.close(), 'EIO', why);
    await blob.close();
    await expectCode(store.stats(), 'EBADF');
    expect(parts.events).toEqual(['plane told of death', 'plane stopped']);
    const { store: again } = await openPooled({ device });
    expectSame(await (await again.open({ name: 'kept' })).read(100, 5000), bytes(5000));
  });
});

test('the data plane learns of the death before calls fail', async () => {
  const { store, parts } = await createPooled({ device: MemoryDevice.create({ sizeBytes: 4 * MiB }) });
  const callUntilFailure = async () => {
    for (;;) await store.stats(); // one of these calls is under way when the worker dies
  };
  const call = callUntilFailure().catch(() => parts.events.push('call failed'));
  parts.kill('terminate');
  await call;
  expect(parts.events).toEqual(['plane told of death', 'call failed']);
});

test('a close during which the worker dies ends all the same', async () => {
  const device = MemoryDevice.create({ sizeBytes: 4 * MiB });
  const { store, parts } = await createPooled({ device, clusterSizeBytes: CLUSTER });
  const blobs = await Promise.all(Array.from({ length: 10 }, () => store.create({ sizeBytes: 1 * MiB, thin: true })));
  const closing = store.close();
  parts.kill('exit');
  for (const blob of blobs) blob.close().catch(() => undefined);
  await closing.catch((error: unknown) => expect(error).toMatchObject({ code: 'EIO' }));
  expect(parts.isWorkerThere).toBe(false);
  expect(parts.events).toContain('plane stopped');
});

test('a worker that does not start is reported, and leaves no lock', async () => {
  const path = await temporaryFile();
  const device = { kind: 'file', path, create: true, sizeBytes: 4 * MiB } as const;
  await (await createPooled({ device })).store.close();
  const nowhere = { ...MORTAL_PARTS, metadataWorker: () => new URL('./nowhere.js', import.meta.url) };
  await expectCode(openStoreOf({ device: { kind: 'file', path }, threads: 1 }, nowhere), 'EIO', /nowhere\.js/);
  await (await openPooled({ device: { kind: 'file', path } })).store.close();
});

test('a data plane that does not start leaves no thread and no lock', async () => {
  const path = await temporaryFile();
  await (await createPooled({ device: { kind: 'file', path, create: true, sizeBytes: 4 * MiB } })).store.close();
  let isThere = () => true;
  const failing = {
    ...MORTAL_PARTS,
    startDataPlane: async ({ metadata }: { metadata: { worker: { threadId: number } } }) => {
      isThere = () => metadata.worker.threadId !== -1;
      throw new Error('no threads today');
    },
  };
  await expectCode(openStoreOf({ device: { kind: 'file', path }, threads: 1 }, failing), 'EIO', /no threads today/);
  expect(isThere()).toBe(false);
  await (await openPooled({ device: { kind: 'file', path } })).store.close();
});
