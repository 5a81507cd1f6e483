/** Stores of SPDK's logical volumes (lvolstores): there each blob has a name, which is a C string, and a uuid. */

import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { type Blob, MemoryDevice, type Store } from 'blobyard';
import type { BlockDevice } from 'blobyard/devices';
import { describe, expect, onTestFinished, test } from 'vitest';
import { bytes, CLUSTER, createStore, expectCode, expectSame, memory, openStore, testStore } from './support.js';

interface Lvol {
  readonly blob_id: string;
  readonly name: string;
  readonly size_bytes: number;
  readonly thin: boolean;
  readonly snapshot: boolean;
  readonly read_only: boolean;
  readonly parent_blob_id: string | null;
  readonly xattrs_hex: Readonly<Record<string, string>>;
}

interface Image {
  readonly device_block_size: number;
  readonly expected: {
    readonly lvolstore: { readonly name: string; readonly super_blob_id: string };
    readonly lvols: readonly Lvol[];
  };
}

const IMAGES = new URL('../../spdk-images/lvol/', import.meta.url);
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** A disk that SPDK has written, and what SPDK reports about it. */
function spdkDisk(name: string): { device: BlockDevice; image: Image } {
  const image = JSON.parse(readFileSync(new URL(`${name}.json`, IMAGES), 'utf8')) as Image;
  const content = gunzipSync(readFileSync(new URL(`${name}.img.gz`, IMAGES)));
  const device = MemoryDevice.create({ sizeBytes: content.length, blockLengthBytes: image.device_block_size });
  void device.openChannel().write(content, 0, 0, device.blockCount);
  return { device, image };
}

async function opened(device: BlockDevice): Promise<Store> {
  const store = await openStore({ device });
  onTestFinished(() => store.close());
  return store;
}

/** A new lvolstore, as SPDK begins it: with a super blob that has its name and uuid. */
async function newLvolstore(): Promise<{ store: Store; device: BlockDevice; superBlob: Blob }> {
  const device = memory();
  const store = await testStore(device, { bstype: 'LVOLSTORE' });
  const superBlob = await store.create({ name: 'lvs' });
  await store.setSuperBlob(superBlob.id);
  return { store, device, superBlob };
}

/** The bytes of a name as SPDK writes it for a new volume. */
function padded(name: string): Uint8Array {
  const value = new Uint8Array(64);
  value.set(Buffer.from(name));
  return value;
}

async function uuidOf(blob: Blob): Promise<string> {
  const value = await blob.xattrs.get('uuid');
  expect(value).toHaveLength(37);
  expect(value?.at(-1)).toBe(0);
  return Buffer.from(value?.subarray(0, -1) ?? []).toString();
}

describe.each(['head-clean', 'head-oldformat-no-uuid', 'mid-killed-rename-01'])('on the disk %s', (name) => {
  test('volumes have the names that SPDK reports, and are found by them', async () => {
    const { device, image } = spdkDisk(name);
    const store = await opened(device);
    const { lvols, lvolstore } = image.expected;
    const infos = await store.blobs();
    const said = infos.filter(({ id }) => `${id}` !== lvolstore.super_blob_id);
    expect(
      said.map((info) => [
        `${info.id}`,
        info.name,
        info.sizeBytes,
        info.thin,
        info.readOnly,
        `${info.parentId ?? null}`,
      ]),
    ).toEqual(
      lvols.map((lvol) => [
        lvol.blob_id,
        lvol.name,
        lvol.size_bytes,
        lvol.thin,
        lvol.read_only,
        `${lvol.parent_blob_id}`,
      ]),
    );
    for (const lvol of lvols) {
      const blob = await store.open({ name: lvol.name });
      expect(`${blob.id}`).toBe(lvol.blob_id);
      expect(await blob.xattrs.getText('name')).toBe(lvol.name);
      for (const [key, hex] of Object.entries(lvol.xattrs_hex)) {
        expectSame((await blob.xattrs.get(key)) ?? new Uint8Array(), Buffer.from(hex, 'hex'), key);
      }
      await blob.close();
      await expectCode(store.create({ name: lvol.name }), 'EEXIST');
    }
    expect(infos.find(({ id }) => `${id}` === lvolstore.super_blob_id)?.name).toBe(lvolstore.name);
  });
});

test('a new volume beside those of SPDK is as SPDK would make it, and there when the store is opened again', async () => {
  const { device } = spdkDisk('head-clean');
  const store = await openStore({ device });
  const blob = await store.create({ name: 'größe-日本', sizeBytes: 65536, thin: true, xattrs: { more: 'text' } });
  const snapshot = await blob.snapshot({ name: 'snap' });
  const clone = await snapshot.clone({ name: 'x'.repeat(63) });
  const uuids = new Set(await Promise.all([blob, snapshot, clone].map(uuidOf)));
  expect(uuids.size).toBe(3);
  for (const uuid of uuids) expect(uuid).toMatch(UUID);
  expect(await blob.xattrs.list()).toEqual(['name', 'more', 'uuid']);
  await clone.xattrs.set('name', 'renamed');
  expect(clone.name).toBe('renamed');
  await store.close();
  const again = await opened(device);
  const values = async (name: string) => (await again.open({ name })).xattrs.get('name');
  expectSame((await values('größe-日本')) ?? bytes(0), padded('größe-日本'));
  expectSame((await values('snap')) ?? bytes(0), padded('snap'));
  expectSame((await values('renamed')) ?? bytes(0), Buffer.from('renamed\0'));
  expect(await (await again.open({ name: 'snap' })).xattrs.getText('uuid')).toMatch(UUID);
});

describe('in an lvolstore', () => {
  test('a blob without a name is refused, by whichever call it would get none', async () => {
    const { store } = await newLvolstore();
    const blob = await store.create({ name: 'disk', sizeBytes: CLUSTER });
    const before = (await store.blobs()).length;
    await expectCode(store.create(), 'EINVAL', /SPDK refuses/);
    await expectCode(store.create({ xattrs: { other: 'a' } }), 'EINVAL', /SPDK refuses/);
    await expectCode(blob.snapshot(), 'EINVAL', /SPDK refuses/);
    const snapshot = await blob.snapshot({ name: 'snap' });
    await expectCode(snapshot.clone({ xattrs: { a: 'b' } }), 'EINVAL', /SPDK refuses/);
    await expectCode(blob.xattrs.delete('name'), 'EINVAL', /SPDK refuses/);
    await expectCode(blob.xattrs.setAll({ name: '' }), 'EINVAL');
    for (const value of [
      Buffer.from('no zero'),
      Uint8Array.of(0),
      padded(''),
      Buffer.alloc(65, 'a\0'),
      Buffer.of(0xff, 0),
    ]) {
      await expectCode(blob.xattrs.set('name', value), 'EINVAL', /zero byte/);
      await expectCode(store.create({ xattrs: { name: value } }), 'EINVAL', /zero byte/);
    }
    expect(await store.blobs()).toHaveLength(before + 1);
    expectSame((await blob.xattrs.get('name')) ?? bytes(0), padded('disk'));
  });

  test('a snapshot and a clone have the xattrs of their volume, and a uuid of their own', async () => {
    const { store } = await newLvolstore();
    const volume = await store.create({ name: 'v', sizeBytes: CLUSTER, thin: true, xattrs: { owner: 'red' } });
    await expectCode(volume.snapshot(), 'EINVAL', /without a name/);
    const snapshot = await volume.snapshot({ name: 's' });
    const clone = await snapshot.clone({ name: 'c' });
    const all = [volume, snapshot, clone];
    const uuids = await Promise.all(all.map(({ xattrs }) => xattrs.getText('uuid')));
    for (const uuid of uuids) expect(uuid).toMatch(UUID);
    expect(new Set(uuids).size).toBe(3);
    for (const blob of all) expect(await blob.xattrs.getText('owner')).toBe('red');
    expect(all.map(({ name }) => name)).toEqual(['v', 's', 'c']);
  });

  test('names are 63 bytes at most, and belong to one volume each', async () => {
    const { store } = await newLvolstore();
    await expectCode(store.create({ name: 'n'.repeat(64) }), 'EINVAL', /64 bytes; .* 63/);
    await expectCode(store.create({ name: '日'.repeat(22) }), 'EINVAL', /66 bytes/);
    const blob = await store.create({ name: '日'.repeat(21) });
    await expectCode(blob.xattrs.set('name', 'n'.repeat(64)), 'EINVAL');
    await expectCode(store.create({ xattrs: { name: padded('日'.repeat(21)) } }), 'EEXIST');
    await expectCode(store.create({ name: 'a', xattrs: { name: padded('b') } }), 'EINVAL', /two names/);
    const same = await store.create({ name: 'b', xattrs: { name: padded('b') } });
    await expectCode(same.xattrs.set('name', '日'.repeat(21)), 'EEXIST');
    await same.xattrs.set('name', padded('c'));
    expect(same.name).toBe('c');
    expectSame((await same.xattrs.get('name')) ?? bytes(0), Buffer.from('c\0'));
    await store.create({ name: 'b' });
  });

  test('a uuid can be chosen, and one that is malformed is refused', async () => {
    const { store, superBlob } = await newLvolstore();
    const uuid = '9D4B7A30-5c1e-4d0f-8a11-3f5e6d7c8b90';
    const blob = await store.create({ name: 'a', xattrs: { uuid } });
    expect(await uuidOf(blob)).toBe(uuid);
    await blob.xattrs.set('uuid', Buffer.from(`${uuid.toLowerCase()}\0`));
    expect(await uuidOf(blob)).toBe(uuid.toLowerCase());
    for (const bad of ['1', Buffer.from(uuid), `${uuid}0`]) {
      await expectCode(blob.xattrs.set('uuid', bad), 'EINVAL', /UUID/);
      await expectCode(store.create({ name: 'b', xattrs: { uuid: bad } }), 'EINVAL', /UUID/);
    }
    expect(await blob.xattrs.delete('uuid')).toBe(true);
    await expectCode(superBlob.xattrs.delete('uuid'), 'EINVAL', /lvolstore/);
  });

  test('the name of the lvolstore is not the name of a volume', async () => {
    const { store, superBlob } = await newLvolstore();
    await expectCode(store.open({ name: 'lvs' }), 'ENOENT');
    await expectCode(store.delete({ name: 'lvs' }), 'ENOENT');
    const volume = await store.create({ name: 'lvs' });
    expect((await store.open({ name: 'lvs' })).id).toBe(volume.id);
    await superBlob.xattrs.set('name', 'other');
    await superBlob.xattrs.set('name', 'lvs');
    await expectCode(store.create({ name: 'lvs' }), 'EEXIST');
    expect((await store.blobs()).map(({ name }) => name)).toEqual(['lvs', 'lvs']);
  });
});

test('other stores keep names as text, and give no uuid', async () => {
  const store = await testStore(memory(), { bstype: 'LVOLSTORE2' });
  const blob = await store.create({ name: 'n'.repeat(64), sizeBytes: CLUSTER });
  expect(await blob.xattrs.list()).toEqual(['name']);
  expect(await blob.xattrs.get('name')).toHaveLength(64);
  await expectCode(blob.xattrs.set('name', padded('a')), 'EINVAL');
  await (await blob.snapshot()).close();
  await (await createStore({ device: memory(), clusterSizeBytes: CLUSTER })).close();
});
