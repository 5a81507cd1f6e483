/** Closing and destroying a store, and opening one with a damaged blob. */

import { createStore as createInline, DamagedStoreError, type Store } from 'blobyard';
import { type BlockDevice, FaultyDevice } from 'blobyard/devices';
import { describe, expect, test } from 'vitest';
import {
  bytes,
  CLUSTER,
  createStore,
  expectCode,
  expectSame,
  isPooled,
  memory,
  openStore,
  testStore,
} from './support.js';

describe('the end of a store', () => {
  test('closes handles, waits for requests under way, and refuses new ones', async () => {
    const inner = memory();
    const device = new FaultyDevice(inner, { asynchronous: true });
    const store = await createStore({ device, clusterSizeBytes: CLUSTER });
    const blob = await store.create({ sizeBytes: CLUSTER, name: 'kept' });
    const gate = device.gate('write', 1);
    const writing = blob.write(bytes(1024), 0);
    await gate.reached;
    const closing = store.close();
    expect(store.isClosed && blob.isClosed).toBe(true);
    await expectCode(store.create(), 'EBADF');
    await expectCode(blob.read(0, 1), 'EBADF');
    gate.release();
    await writing;
    await closing;
    expect(store.close()).toBe(closing);
    await blob.close();
    const again = await openStore({ device: inner });
    expectSame(await (await again.open({ name: 'kept' })).read(0, 1024), bytes(1024));
    await again.close();
  });

  test('makes every later call fail', async () => {
    const store = await createStore({ device: memory(), clusterSizeBytes: CLUSTER });
    await store.close();
    const calls: ((closed: Store) => unknown)[] = [
      (closed) => closed.create(),
      (closed) => closed.open(1n),
      (closed) => closed.delete(1n),
      (closed) => closed.blobs(),
      (closed) => closed.stats(),
      (closed) => closed.getSuperBlob(),
      (closed) => closed.setSuperBlob(undefined),
      (closed) => closed.grow(),
      (closed) => closed.flush(),
      (closed) => closed.dump(),
      (closed) => closed.allocate(1),
      (closed) => closed.release(new Uint8Array(1)),
      (closed) => closed.engine,
      (closed) => closed.channel,
    ];
    for (const call of calls) await expectCode(() => call(store), 'EBADF', /closed/);
    await store.close();
    await store.destroy();
  });

  test.runIf(!isPooled)('is refused while a blob is open in the engine', async () => {
    const store = await testStore();
    const { id } = await store.create();
    const { blobstore } = store.engine;
    const opening = blobstore.openBlob(id);
    const opened = opening.next();
    if (!opened.done) throw new Error('the device is synchronous');
    await expectCode(store.close(), 'EBUSY');
    expect(store.isClosed).toBe(false);
    await store.stats();
    blobstore.closeBlob(opened.value).next();
    await store.close();
    expect(store.isClosed).toBe(true);
  });

  test('by destroying leaves no store on the device', async () => {
    const device = memory();
    const store = await createStore({ device, clusterSizeBytes: CLUSTER });
    await store.create();
    await store.destroy();
    await store.close();
    await expectCode(openStore({ device }), 'EILSEQ');
  });

  test('reports an error of the device, and the next opening recovers', async () => {
    const inner = memory();
    const device = new FaultyDevice(inner);
    const store = await createStore({ device, clusterSizeBytes: CLUSTER });
    const blob = await store.create({ sizeBytes: CLUSTER, thin: true, name: 'kept' });
    await blob.write(bytes(700), 5);
    await blob.flush();
    device.failAt(1, { kind: 'write', times: 1000 });
    await expectCode(store.close(), 'EIO');
    expect(store.isClosed).toBe(true);
    await expectCode(store.close(), 'EIO');
    const again = await openStore({ device: inner });
    expectSame(await (await again.open({ name: 'kept' })).read(5, 700), bytes(700));
    await again.close();
  });

  test('leaves a device of the caller open', async () => {
    let closed = 0;
    const inner = memory();
    const device: BlockDevice = new Proxy(inner, {
      get(target, key) {
        if (key === 'close') return () => closed++;
        const value = Reflect.get(target, key, target) as unknown;
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    await (await createStore({ device, clusterSizeBytes: CLUSTER })).close();
    expect(closed).toBe(0);
  });

  test('an opening that finds a damaged blob throws, or sets the blob aside and keeps the others', async () => {
    const device = memory();
    const made = await createInline({ device, clusterSizeBytes: CLUSTER });
    const bad = await made.create({ name: 'bad', sizeBytes: CLUSTER });
    await made.create({ name: 'good', sizeBytes: CLUSTER });
    const { geometry } = made.engine.blobstore;
    await made.close();
    const channel = device.openChannel();
    const page = Number(bad.id & 0xffff_ffffn);
    void channel.write(bytes(4096), 0, (geometry.mdStartPage + page) * 8, 8);
    channel.close();
    const refused = await openStore({ device }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(DamagedStoreError);
    expect(refused).toMatchObject({ code: 'EILSEQ', damaged: [{ id: bad.id }] });
    expect((refused as DamagedStoreError).message).toContain(`page ${page} `);
    const store = await openStore({ device, onDamage: 'set-aside' });
    expect(store.damaged).toMatchObject([{ id: bad.id }]);
    expect((await store.blobs()).map((blob) => blob.name)).toEqual(['good']);
    await expectCode(store.open(bad.id), store.damaged[0].error.code, /damaged/);
    await store.close();
    const recovered = await openStore({ device, recover: 'force', onDamage: 'set-aside' });
    expect((await recovered.blobs()).map((blob) => blob.name)).toEqual(['good']);
    await recovered.close();
  });
});
