/** I/O workers that die: only the requests that they had fail, and they are replaced. */

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createStore, MemoryDevice, openStore } from 'blobyard';
import { describe, expect, onTestFinished, test } from 'vitest';
import { bytes, CLUSTER, expectCode, expectSame, MiB } from '../api/support.js';
import { mortalDevice, poison } from './mortal-device.js';

const run = promisify(execFile);
const CHILD = new URL('../../dist/threads/hoarding-child.js', import.meta.url);

async function mortalStore(threads: number) {
  const memory = MemoryDevice.create({ sizeBytes: 16 * MiB, blockLengthBytes: 512 });
  const store = await createStore({ device: mortalDevice(memory), threads, clusterSizeBytes: CLUSTER });
  onTestFinished(() => store.close());
  return { memory, store };
}

/** Repeats a request until it succeeds: a worker that is about to die may have got it. */
async function served<T>(request: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await request();
    } catch (error) {
      expect(error).toMatchObject({ name: 'BlobstoreError', code: 'EIO' });
      expect((error as Error).message).toMatch(/the I\/O worker that had this request died/);
    }
  }
}

describe.each([['exit', 'throw', 'reject']].flat())('an I/O worker that dies (%s)', (death) => {
  test.each([1, 2])('is replaced, of %i', async (threads) => {
    const { memory, store } = await mortalStore(threads);
    const blob = await store.create({ sizeBytes: 4 * MiB, thin: true });
    await blob.write(bytes(1 * MiB), 0);
    for (let round = 0; round < 2; round++) {
      const others = Array.from({ length: 50 }, (_, index) => blob.read(index * 4096, 4096));
      const fatal = blob.write(poison(death as 'exit'), 2 * MiB + round * CLUSTER); // the first write of a cluster
      const settled = await Promise.allSettled([fatal, ...others]);
      expect(settled[0].status).toBe('rejected');
      for (const outcome of settled.slice(1)) {
        if (outcome.status === 'rejected')
          expect(outcome.reason).toMatchObject({ name: 'BlobstoreError', code: 'EIO' });
      }
      expectSame(await served(() => blob.read(0, 1 * MiB)), bytes(1 * MiB));
      await served(() => blob.write(bytes(5000, round), 3 * MiB + 3));
    }
    const snapshot = await blob.snapshot(); // does not wait for the dead worker
    await snapshot.close();
    await blob.close();
    await store.close();
    const again = await openStore({ device: memory });
    again.engine.blobstore.verify();
    const free = (await again.stats()).freeBytes;
    await again.close();
    const recovered = await openStore({ device: memory, recover: 'force' }); // counts the clusters of the blobs
    expect((await recovered.stats()).freeBytes).toBe(free);
    await recovered.close();
  });
});

test('requests that wait while no worker is left are executed by the next one', async () => {
  const { store } = await mortalStore(1);
  const blob = await store.create({ sizeBytes: 1 * MiB });
  const fatal = blob.write(poison('exit'), 0);
  const later = Array.from({ length: 2000 }, (_, index) =>
    blob.write(bytes(512, index), (index % 100) * 512 + CLUSTER),
  );
  await expectCode(fatal, 'EIO', /I\/O worker/);
  const outcomes = await Promise.allSettled(later);
  expect(outcomes.some(({ status }) => status === 'fulfilled')).toBe(true);
  await served(() => blob.write(bytes(10), 0));
});

test('a worker or an attached thread that runs out of memory dies, and the process goes on', async () => {
  const options = ['--max-old-space-size=64', fileURLToPath(CHILD)];
  const { stdout } = await run(process.execPath, options, { timeout: 60_000 });
  expect(stdout.trim().split('\n')).toEqual([
    'worker: EIO, then 8',
    'attached: ERR_WORKER_OUT_OF_MEMORY, then 9',
    'closed',
  ]);
});
