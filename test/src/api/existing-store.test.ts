/** `createStore` and `copyTo` overwrite an existing store only when they are told to. */

import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  type CreateStoreOptions,
  type DeviceSpec,
  type ErrorCode,
  FileDevice,
  MemoryDevice,
  type Store,
} from 'blobyard';
import { type BlockDevice, FaultyDevice } from 'blobyard/devices';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  bytes,
  CLUSTER,
  createStore,
  expectCode,
  expectSame,
  isPooled,
  KiB,
  leave,
  MiB,
  memory,
  openStore,
  temporaryFolder,
  testStore,
  usable,
} from './support.js';

type Device = CreateStoreOptions['device'];

/** Makes a store with a blob in it. Returns the store, still open. */
async function occupied(device: Device, options: Partial<CreateStoreOptions> = {}) {
  const store = await createStore({ device, clusterSizeBytes: CLUSTER, bstype: 'PHOTOS', ...options });
  const blob = await store.create({ name: 'precious', sizeBytes: 2 * CLUSTER });
  await blob.write(bytes(100, 7), 5);
  await blob.close();
  return store;
}

async function expectIntact(device: Device): Promise<void> {
  const store = await openStore({ device });
  const blob = await store.open({ name: 'precious' });
  expectSame(await blob.read(5, 100), bytes(100, 7));
  await store.close();
}

/** Overwrites bytes of a device, without the store. */
async function patch(device: BlockDevice, at: number, change: Uint8Array): Promise<void> {
  const page = new Uint8Array(4096);
  const channel = device.openChannel();
  const blocks = page.length / device.blockLengthBytes;
  await channel.read(page, 0, 0, blocks);
  page.set(change, at);
  await channel.write(page, 0, 0, blocks);
  channel.close();
}

describe('createStore', () => {
  test('refuses to overwrite a store that was closed, and describes it', async () => {
    const device = memory();
    await (await occupied(device)).close();
    await expectCode(
      createStore({ device }),
      'EEXIST',
      /holds a blobstore \(version 3, type 'PHOTOS', 4194304 bytes, clusters of 16384 bytes, closed\).*`overwrite: true`/,
    );
    await expectIntact(device);
  });

  test('refuses to overwrite a store that was not closed', async () => {
    const device = memory();
    const store = await occupied(device, { bstype: undefined });
    await store.flush();
    await leave(store);
    await expectCode(createStore({ device }), 'EEXIST', /no type, .*in use or not closed/);
    await expectIntact(device);
  });

  test('refuses to overwrite a store whose super block is damaged, or of another version', async () => {
    const device = memory();
    await (await occupied(device)).close();
    await patch(device, 8, Uint8Array.of(99));
    await expectCode(createStore({ device }), 'EEXIST', /super block is damaged/);
    await patch(device, 8, new Uint8Array(4088).fill(0xee)); // the signature is all that is left
    await expectCode(createStore({ device }), 'EEXIST', /super block is damaged/);
  });

  test('makes a store where there is none: on empty devices, on other data, and where a store was destroyed', async () => {
    const device = memory();
    await patch(device, 0, bytes(4096));
    await (await occupied(device)).destroy();
    await (await createStore({ device, clusterSizeBytes: CLUSTER })).close();
  });

  test('overwrites a store when it is told to', async () => {
    const device = memory();
    for (let round = 0; round < 2; round++) {
      const store = await createStore({ device, clusterSizeBytes: CLUSTER, overwrite: true });
      expect(await store.blobs()).toEqual([]);
      await store.create({ name: 'one' });
      await store.close();
    }
    await expectCode(createStore({ device, overwrite: false }), 'EEXIST');
    await expectCode(createStore({ device, overwrite: 1 as never }), 'EINVAL', /overwrite/);
    await patch(device, 8, new Uint8Array(100).fill(0xee));
    await (await createStore({ device, clusterSizeBytes: CLUSTER, overwrite: true })).close();
  });

  test('finds an existing store on devices of each kind', async () => {
    const folder = await temporaryFolder();
    const shared = MemoryDevice.create({ sizeBytes: 4 * MiB, blockLengthBytes: 512 });
    const file = (name: string, mode: 'sync' | 'async', blockLengthBytes: number): DeviceSpec => {
      return { kind: 'file', path: path.join(folder, name), mode, blockLengthBytes };
    };
    const specs = [file('one', 'sync', 512), file('two', 'async', 4096), file('three', 'sync', 2048)];
    for (const spec of specs) {
      const made = { ...spec, create: true, sizeBytes: 4 * MiB } as DeviceSpec;
      await (await occupied(made)).close();
    }
    await (await occupied(shared)).close();
    for (const device of [...specs, shared, shared.spec]) {
      await expectCode(createStore({ device }), 'EEXIST', /PHOTOS/);
      await expectIntact(device);
    }
  });

  test('leaves a file that has a store unchanged, and releases its lock', async () => {
    const file = path.join(await temporaryFolder(), 'yard.img');
    await (await occupied({ kind: 'file', path: file, create: true, sizeBytes: 4 * MiB })).close();
    const before = await readFile(file);
    await expectCode(createStore({ device: { kind: 'file', path: file } }), 'EEXIST');
    await expectCode(createStore({ device: { kind: 'file', path: file, create: true, sizeBytes: 4 * MiB } }), 'EEXIST');
    expectSame(await readFile(file), before);
    await expectIntact({ kind: 'file', path: file });
    await writeFile(file, Buffer.from('SPDKBLOB')); // too short for one, and for a store
    await expectCode(createStore({ device: { kind: 'file', path: file, blockLengthBytes: 512 } }), 'ENOSPC');
  });
});

describe('copyTo', () => {
  test('refuses to overwrite a store on the target, unless it is told to', async () => {
    const store = await testStore(memory());
    const blob = await store.create({ sizeBytes: CLUSTER });
    await blob.write(bytes(CLUSTER), 0);
    const snapshot = await blob.snapshot();
    const target = memory();
    await (await occupied(target)).close();
    await expectCode(snapshot.copyTo(usable(target)), 'EEXIST', /is not copied: .*PHOTOS.*`overwrite: true`/);
    await expectIntact(target);
    await expectCode(snapshot.copyTo(usable(target), { overwrite: 'yes' as never }), 'EINVAL');
    await expectCode(snapshot.inflate({ overwrite: true } as never), 'EINVAL', /no option 'overwrite'/);
    expect(await snapshot.copyTo(usable(target), { overwrite: true })).toBe(CLUSTER);
    const head = new Uint8Array(4 * KiB);
    await target.openChannel().read(head, 0, 0, 8);
    expectSame(head, bytes(CLUSTER).subarray(0, 4 * KiB));
  });

  test('never overwrites the store of the blob, whichever device object reaches it', async () => {
    const file = path.join(await temporaryFolder(), 'yard.img');
    const device = { kind: 'file', path: file, create: true, sizeBytes: 4 * MiB } as const;
    await using onFile = await createStore({ device, clusterSizeBytes: CLUSTER });
    const sameFile = FileDevice.open({ path: file });
    onTestFinished(() => sameFile.close());
    await expectRefused(onFile, sameFile, isPooled ? 'EBUSY' : 'EINVAL'); // a thread that opens a file locks it first

    const device2 = MemoryDevice.create({ sizeBytes: 4 * MiB, arenaBytes: 64 * KiB });
    await using inMemory = await createStore({ device: device2, clusterSizeBytes: CLUSTER });
    await expectRefused(inMemory, device2);
    await expectRefused(inMemory, new MemoryDevice({ memory: device2.memory }));
    await expectRefused(inMemory, device2.spec);
    if (!isPooled) await expectRefused(inMemory, new FaultyDevice(device2));
  });
});

/** Expects that a copy of a new blob is refused, and that the store goes on. */
async function expectRefused(store: Store, target: Device, code: ErrorCode = 'EINVAL'): Promise<void> {
  await using blob = await store.create({ sizeBytes: CLUSTER });
  await blob.write(bytes(CLUSTER), 0);
  await using snapshot = await blob.snapshot();
  await expectCode(snapshot.copyTo(target, { overwrite: true }), code, code === 'EINVAL' ? /over its own store/ : /./);
  expectSame(await blob.read(0, CLUSTER), bytes(CLUSTER));
}
