/** The events `recovered`, `grown` and `failed`, on the thread that opened the store. */

import { once } from 'node:events';
import { attach, createStore as createInline, MemoryDevice, openStore as openAny, type Store } from 'blobyard';
import { run } from 'blobyard/engine';
import type { Grown } from 'blobyard/types';
import { expect, test } from 'vitest';
import { CLUSTER, expectCode, isAttached, isPooled, MiB, testStore } from './support.js';

const threads = isPooled ? 1 : 0;

/** A device with a store of two blobs, not closed. */
async function dirtyDevice(): Promise<MemoryDevice> {
  const device = MemoryDevice.create({ sizeBytes: 4 * MiB, maxSizeBytes: 16 * MiB });
  const store = await createInline({ device, clusterSizeBytes: CLUSTER });
  for (const name of ['a', 'b']) await store.create({ name });
  await run(store.engine.blobstore.abandon());
  return device;
}

/**
 * What is told to a listener that is added right after the opening. Events of the metadata worker come before its answer
 * to a later call; those of this thread in the next turn of the event loop.
 */
async function recoveriesOf(store: Store): Promise<unknown[]> {
  const told: unknown[] = [];
  store.on('recovered', (recovered) => told.push(recovered));
  await store.stats();
  for (let turns = 0; turns < 3; turns++) await new Promise((resolve) => setImmediate(resolve));
  return told;
}

test.skipIf(isAttached).each([false, true])('recovered comes once after recovery, readOnly %s', async (readOnly) => {
  const device = await dirtyDevice();
  const store = await openAny({ device, threads, readOnly });
  const told = await recoveriesOf(store);
  expect(told).toEqual([{ tookMs: expect.any(Number), blobCount: 2 }]);
  await store.close();
  const again = await openAny({ device, threads });
  expect((await recoveriesOf(again)).length).toBe(readOnly ? 1 : 0);
  await again.close();
  const forced = await openAny({ device, threads, recover: 'force' });
  expect(await once(forced, 'recovered')).toEqual([{ tookMs: expect.any(Number), blobCount: 2 }]);
  await forced.close();
});

test.skipIf(isAttached)('grown says by how much, and comes only if the store has grown', async () => {
  const device = await dirtyDevice();
  const store = await openAny({ device, threads });
  const told: Grown[] = [];
  store.on('grown', (grown) => told.push(grown));
  await store.grow();
  const growing = once(store, 'grown');
  await store.grow({ sizeBytes: 8 * MiB });
  await growing;
  const { totalBytes } = await store.stats();
  expect(told).toEqual([{ totalBytes, addedBytes: 4 * MiB }]);
  await store.close();
});

test.skipIf(!isAttached)(
  'grown comes on the thread that opened the store when an attached thread lets it grow',
  async () => {
    const store = await openAny({ device: await dirtyDevice(), threads });
    const attached = await attach(store.share());
    await expectCode(() => attached.on('grown', () => undefined), 'ENOTSUP');
    const growing = once(store, 'grown');
    await attached.grow({ sizeBytes: 8 * MiB });
    expect(await growing).toMatchObject([{ addedBytes: 4 * MiB }]);
    await store.close();
  },
);

test('an unknown event is refused, with the names of those that there are', async () => {
  const store = await testStore();
  await expectCode(() => store.on('grow' as 'grown', () => undefined), 'EINVAL', /'recovered' or 'grown' or 'failed'/);
});
