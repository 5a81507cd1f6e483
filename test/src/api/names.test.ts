/** Names and xattrs of blobs. */

import { createStore as createInline } from 'blobyard';
import { FaultyDevice } from 'blobyard/devices';
import { run } from 'blobyard/engine';
import { describe, expect, test } from 'vitest';
import { bytes, CLUSTER, createStore, expectCode, leave, memory, openStore, testStore } from './support.js';

describe('names', () => {
  test('belong to one blob each', async () => {
    const store = await testStore();
    const one = await store.create({ name: 'one' });
    await expectCode(store.create({ name: 'one' }), 'EEXIST', /blob 4294967296/);
    await expectCode(store.create({ xattrs: { name: 'one' } }), 'EEXIST');
    await expectCode(one.snapshot({ name: 'one' }), 'EEXIST');
    const two = await store.create();
    expect(two.name).toBeUndefined();
    await expectCode(two.xattrs.set('name', 'one'), 'EEXIST');
    await one.xattrs.set('name', 'one'); // the name that it has already
    await two.xattrs.set('name', 'two');
    expect((await store.open({ name: 'two' })).id).toBe(two.id);
    const both = await Promise.allSettled([store.create({ name: 'three' }), store.create({ name: 'three' })]);
    expect(both.map((outcome) => outcome.status)).toEqual(['fulfilled', 'rejected']);
  });

  test('are as renaming, snapshots and deletion leave them, also when the store is opened again', async () => {
    const device = memory();
    const store = await createStore({ device, clusterSizeBytes: CLUSTER });
    const blob = await store.create({ name: 'disk', sizeBytes: CLUSTER });
    const snapshot = await blob.snapshot({ name: 'monday' });
    const clone = await snapshot.clone({ name: 'copy of Müller’s 🗄️' });
    await blob.xattrs.set('name', 'system');
    await expectCode(store.open({ name: 'disk' }), 'ENOENT', /'disk'/);
    await store.create({ name: 'disk' });
    await clone.xattrs.delete('name');
    expect(clone.name).toBeUndefined();
    await clone.xattrs.setAll({ name: 'copy', kind: 'clone' });
    await clone.close();
    await store.delete({ name: 'copy' });
    await expectCode(store.open({ name: 'copy' }), 'ENOENT');
    await store.create({ name: 'copy' });
    const names = (await store.blobs()).map((each) => each.name);
    await store.close();
    const again = await openStore({ device });
    expect((await again.blobs()).map((each) => each.name)).toEqual(names);
    expect((await again.open({ name: 'system' })).parent).toBe((await again.open({ name: 'monday' })).id);
    await again.close();
  });

  test('are free again when the blob that should get them could not be made', async () => {
    const device = new FaultyDevice(memory());
    const store = await testStore(device);
    device.failAt(1, { kind: 'write', times: 50 });
    await expectCode(store.create({ name: 'again' }), 'EIO');
    device.failAt(51, { kind: 'write' });
    const blob = await retry(() => store.create({ name: 'again' }));
    expect(blob.name).toBe('again');
    device.failAt(1, { kind: 'write' });
    await expectCode(blob.xattrs.set('name', 'other'), 'EIO');
    expect([blob.name, await blob.xattrs.getText('name')]).toEqual(['again', 'again']);
    await store.create({ name: 'other' });
  });

  test('that are invalid are refused', async () => {
    const store = await testStore();
    const blob = await store.create();
    for (const name of ['', 'a\0b', '\ud800', 7, null, {}, 'x'.repeat(5000)]) {
      await expectCode(store.create({ name: name as string }), 'EINVAL');
      await expectCode(blob.xattrs.set('name', name as string), 'EINVAL');
      if (name !== 'x'.repeat(5000)) await expectCode(store.open({ name: name as string }), 'EINVAL');
    }
    await expectCode(blob.xattrs.set('name', Uint8Array.of(0xff, 0xfe)), 'EINVAL');
    await expectCode(store.create({ name: 'a', xattrs: { name: 'b' } }), 'EINVAL', /two names/);
    for (const address of [1, 'name', null, undefined, {}]) await expectCode(store.open(address as never), 'EINVAL');
    await expectCode(store.open(3n), 'ENOENT');
    await expectCode(store.open(2n ** 64n), 'ENOENT');
    await expectCode(store.open(-1n), 'ENOENT');
    await expectCode(store.delete(3n), 'ENOENT');
  });

  test('that two blobs of a store from elsewhere have mean the blob with the lower id', async () => {
    const device = memory();
    const store = await createInline({ device, clusterSizeBytes: CLUSTER });
    const { blobstore } = store.engine;
    const name = new TextEncoder().encode('twin');
    const low = await run(blobstore.createBlob({ xattrs: { name } }));
    const high = await run(blobstore.createBlob({ xattrs: { name } }));
    await store.close();
    const again = await openStore({ device });
    expect((await again.blobs()).map((blob) => blob.name)).toEqual(['twin', 'twin']);
    const twin = await again.open({ name: 'twin' });
    expect(twin.id).toBe(low);
    await twin.close();
    await again.delete(low);
    expect((await again.open({ name: 'twin' })).id).toBe(high);
    await again.close();
  });

  test('belong to one blob each after a crash, too', async () => {
    const device = memory();
    const store = await createStore({ device, clusterSizeBytes: CLUSTER });
    const blob = await store.create({ name: 'first' });
    await blob.xattrs.set('name', 'second');
    await store.create({ name: 'first' });
    await leave(store);
    const again = await openStore({ device });
    expect((await again.blobs()).map((each) => each.name)).toEqual(['second', 'first']);
    await again.close();
  });
});

describe('xattrs', () => {
  test('are bytes, and text on request', async () => {
    const device = memory();
    const store = await createStore({ device, clusterSizeBytes: CLUSTER });
    const value = bytes(300);
    const blob = await store.create({ name: 'it', xattrs: { text: 'Grüße', binary: value } });
    const { xattrs } = blob;
    expect(await xattrs.getText('text')).toBe('Grüße');
    expect(await xattrs.get('binary')).toEqual(bytes(300));
    expect(await xattrs.get('none')).toBeUndefined();
    expect(await xattrs.getText('none')).toBeUndefined();
    await xattrs.set('text', 'changed');
    await xattrs.setAll({ two: '2', three: Uint8Array.of(3) });
    expect(await xattrs.delete('binary')).toBe(true);
    expect(await xattrs.delete('binary')).toBe(false);
    const list = await xattrs.list();
    expect([...list].sort()).toEqual(['name', 'text', 'three', 'two']);
    const got = await xattrs.get('three');
    got?.fill(9);
    expect(await xattrs.get('three')).toEqual(Uint8Array.of(3));
    await leave(store); // the xattrs are on disk without a close
    const again = await openStore({ device });
    const reopened = await again.open({ name: 'it' });
    expect(await reopened.xattrs.list()).toEqual(list);
    expect(await reopened.xattrs.getText('text')).toBe('changed');
    await again.close();
  });

  test('that are invalid are refused, and nothing changes', async () => {
    const store = await testStore();
    const { xattrs } = await store.create();
    for (const value of ['', new Uint8Array(0), 7, null, undefined, 'x'.repeat(4100), '\udc00', {}]) {
      await expectCode(xattrs.set('a', value as string), 'EINVAL');
      await expectCode(store.create({ xattrs: { a: value as string } }), 'EINVAL');
      await expectCode(xattrs.setAll({ b: 'fine', a: value as string }), 'EINVAL');
    }
    for (const name of ['', 'a\0', 7, undefined]) {
      await expectCode(xattrs.set(name as string, 'v'), 'EINVAL');
      await expectCode(xattrs.get(name as string), 'EINVAL');
      await expectCode(xattrs.delete(name as string), 'EINVAL');
    }
    await expectCode(store.create({ xattrs: 'none' as never }), 'EINVAL');
    expect(await xattrs.list()).toEqual([]);
  });

  test('of read-only blobs cannot be changed', async () => {
    const store = await testStore();
    const blob = await store.create({ name: 'fixed', sizeBytes: CLUSTER });
    await blob.setReadOnly();
    await blob.setReadOnly();
    expect(blob.isReadOnly).toBe(true);
    await expectCode(blob.xattrs.set('name', 'other'), 'EPERM');
    await expectCode(blob.xattrs.delete('name'), 'EPERM');
    await expectCode(blob.write(bytes(1), 0), 'EPERM');
    await expectCode(blob.trim(0, 1), 'EPERM');
    await expectCode(blob.resize(0), 'EPERM');
    expect(blob.name).toBe('fixed');
    await store.create({ name: 'other' });
  });
});

async function retry<T>(action: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await action();
    } catch (error) {
      if ((error as { code: string }).code !== 'EIO') throw error;
    }
  }
}
