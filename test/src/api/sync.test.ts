/**
 * The synchronous calls, with which a thread that never returns to its event loop opens, writes, flushes and closes.
 */

import type { Blob, Store } from 'blobyard';
import { asyncDevice, FaultyDevice } from 'blobyard/devices';
import { describe, expect, test } from 'vitest';
import {
  bytes,
  CLUSTER,
  createStore,
  expectCode,
  expectSame,
  isAttached,
  isPooled,
  memory,
  openStore,
  testStore,
} from './support.js';

/** False in pool mode: there the calling thread cannot block until the metadata worker has answered. */
const canStop = !isPooled || isAttached;

const calls: Record<string, (store: Store, blob: Blob) => void> = {
  openSync: (store, blob) => store.openSync(blob.id),
  'openSync by name': (store) => store.openSync({ name: 'it' }),
  'flushSync of the store': (store) => store.flushSync(),
  syncSync: (_, blob) => blob.syncSync(),
  flushSync: (_, blob) => blob.flushSync(),
  closeSync: (_, blob) => blob.closeSync(),
};

describe.runIf(canStop)('synchronous calls', () => {
  test('open a blob by name or id, write, flush, and close', async () => {
    const device = memory();
    const store = await createStore({ device, clusterSizeBytes: CLUSTER });
    const made = await store.create({ sizeBytes: 4 * CLUSTER, thin: true, name: 'it' });
    await made.close();
    const blob = store.openSync({ name: 'it' });
    expect([blob.id, blob.name, blob.sizeBytes]).toEqual([made.id, 'it', 4 * CLUSTER]);
    blob.writeSync(bytes(3 * CLUSTER), 100);
    blob.syncSync();
    blob.flushSync();
    const other = store.openSync(made.id, { clearMethod: 'none' });
    expectSame(other.readSync(100, 3 * CLUSTER), bytes(3 * CLUSTER));
    other.closeSync();
    other.closeSync();
    blob.writeSync(bytes(10, 2), 3 * CLUSTER);
    store.flushSync();
    blob.closeSync();
    await blob.close();
    expect([blob.isClosed, other.isClosed]).toEqual([true, true]);
    await expectCode(() => blob.writeSync(bytes(1), 0), 'EBADF');
    await expectCode(() => blob.flushSync(), 'EBADF');
    await store.close();
    const again = await openStore({ device });
    const found = again.openSync({ name: 'it' });
    expectSame(found.readSync(100, CLUSTER), bytes(3 * CLUSTER).subarray(0, CLUSTER));
    expectSame(found.readSync(3 * CLUSTER, 10), bytes(10, 2));
    await again.close();
  });

  test('refuse missing blobs and invalid arguments as the promise forms do', async () => {
    const store = await testStore();
    await expectCode(() => store.openSync({ name: 'nobody' }), 'ENOENT');
    await expectCode(() => store.openSync(1n << 40n), 'ENOENT');
    await expectCode(() => store.openSync('it' as never), 'EINVAL');
    await expectCode(() => store.openSync(1n, { clearMethod: 'shred' } as never), 'EINVAL');
    await store.close();
    await expectCode(() => store.openSync(1n), 'EBADF');
    await expectCode(() => store.flushSync(), 'EBADF');
  });

  test('are EBUSY where they would have to wait for this thread', async () => {
    const store = await testStore();
    const blob = await store.create({ sizeBytes: 4 * CLUSTER, thin: true, name: 'it' });
    const writing = blob.write(bytes(100), 5);
    await expectCode(() => blob.closeSync(), 'EBUSY', /promise form/);
    await writing;
    expect(blob.isClosed).toBe(false);
    const closing = blob.close();
    await expectCode(() => blob.closeSync(), 'EBUSY');
    await closing;
    blob.closeSync();
  });

  // Not on an attached thread: the device is on the test's own thread, which the call blocks.
  test.skipIf(isAttached)('to closeSync that fail by an error of the device can be made again', async () => {
    const device = new FaultyDevice(memory());
    const store = await testStore(device);
    const blob = await store.create({ sizeBytes: CLUSTER, thin: true, name: 'it' });
    await blob.write(bytes(3000), 5); // there is metadata to write
    device.failAt(1, { kind: 'write', times: 3 });
    await expectCode(() => blob.closeSync(), 'EIO');
    await expectCode(blob.read(0, 1), 'EBADF');
    for (let tries = 0; !isClosed(blob); tries++) expect(tries).toBeLessThan(10);
    expectSame(await (await store.open({ name: 'it' })).read(5, 3000), bytes(3000));
  });
});

test.runIf(!canStop)('synchronous calls for metadata are ENOTSUP in pool mode, and do nothing', async () => {
  const store = await testStore();
  const blob = await store.create({ sizeBytes: CLUSTER, name: 'it' });
  for (const call of Object.values(calls)) await expectCode(() => call(store, blob), 'ENOTSUP', /promise form/);
  await blob.write(bytes(10), 0);
  await blob.close();
});

test.runIf(!isPooled)('synchronous calls are ENOTSUP on an asynchronous device', async () => {
  const store = await testStore(asyncDevice(memory()));
  const blob = await store.create({ sizeBytes: CLUSTER, name: 'it' });
  for (const call of Object.values(calls)) await expectCode(() => call(store, blob), 'ENOTSUP');
  await blob.write(bytes(10), 0);
  expect(blob.isClosed).toBe(false);
});

/** Tries to close a blob. Returns whether that succeeded. */
function isClosed(blob: Blob): boolean {
  try {
    blob.closeSync();
    return true;
  } catch {
    return false;
  }
}
