/** Stores that are opened for reading only: nothing is written, not even to recover them, and nothing can be changed. */

import { createHash } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import {
  check,
  createStore as createInline,
  MemoryDevice,
  openStore as openInline,
  SparseMemoryDevice,
  type Store,
} from 'blobyard';
import { type BlockDevice, FaultyDevice } from 'blobyard/devices';
import { run } from 'blobyard/engine';
import type { Blob } from 'blobyard/types';
import { describe, expect, test } from 'vitest';
import { CountingDevice } from './counting-device.js';
import {
  bytes,
  CLUSTER,
  createStore,
  expectCode,
  expectSame,
  isAttached,
  isPooled,
  MiB,
  memory,
  openStore,
  temporaryFolder,
} from './support.js';

/** What must not change of a file. */
function stateOf(file: string): unknown {
  const { mtimeMs, ctimeMs, size } = statSync(file);
  return { mtimeMs, ctimeMs, size, hash: createHash('sha256').update(readFileSync(file)).digest('hex') };
}

/** A file with a store. If not `isClosed`, it is as a killed process leaves it. */
async function storeFile(isClosed: boolean): Promise<string> {
  const file = path.join(await temporaryFolder(), 'yard.img');
  const device = { kind: 'file', path: file, create: true, sizeBytes: 8 * MiB } as const;
  const store = await createInline({ device, clusterSizeBytes: CLUSTER });
  await fill(store);
  if (!isClosed) await run(store.engine.blobstore.abandon());
  await store.close();
  return file;
}

/** A clone with a snapshot, clusters of both, and writes that no sync has followed. */
async function fill(store: Store): Promise<Blob[]> {
  const disk = await store.create({ name: 'disk', sizeBytes: 20 * CLUSTER, thin: true });
  await disk.write(bytes(3 * CLUSTER, 1), 100);
  const snapshot = await disk.snapshot({ name: 'before' });
  await disk.write(bytes(2 * CLUSTER, 2), CLUSTER);
  await disk.flush();
  await disk.write(bytes(2 * CLUSTER, 3), 10 * CLUSTER + 7);
  return [disk, snapshot];
}

/** The names, sizes and bytes of all blobs. */
async function contentOf(store: Store): Promise<unknown> {
  const content = [];
  for (const { id, name, sizeBytes, allocatedBytes, parentId } of await store.blobs()) {
    const blob = await store.open(id);
    const hash = createHash('sha256')
      .update(await blob.read(0, sizeBytes))
      .digest('hex');
    content.push({ id, name, sizeBytes, allocatedBytes, parentId, hash });
    await blob.close();
  }
  return content;
}

describe('a store that is opened for reading only', () => {
  test.each([
    ['was closed', true],
    ['was not closed, and is recovered in memory', false],
  ])('changes nothing of a file that %s', async (_, isClosed) => {
    const file = await storeFile(isClosed);
    chmodSync(file, 0o444);
    const before = stateOf(file);
    for (let round = 0; round < 2; round++) {
      const store = await openStore({ device: { kind: 'file', path: file }, readOnly: true });
      expect(store.isReadOnly).toBe(true);
      const disk = await store.open({ name: 'disk' });
      expectSame(await disk.read(10 * CLUSTER + 7, 2 * CLUSTER), bytes(2 * CLUSTER, 3));
      expectSame(await disk.read(CLUSTER + 5, 100), bytes(2 * CLUSTER, 2).subarray(5, 105));
      expectSame(await disk.read(100, 10), bytes(3 * CLUSTER, 1).subarray(0, 10));
      await store.flush();
      await disk.flush();
      if (round === 0) await disk.close();
      await store.close();
      await store.close();
    }
    expect(stateOf(file)).toEqual(before);
    expect(existsSync(`${file}.lock`)).toBe(false);
    chmodSync(file, 0o644);
    await (await openStore({ device: { kind: 'file', path: file } })).close();
  });

  test('is open to any number of readers, and to no writer meanwhile', async () => {
    const file = await storeFile(false);
    const device = { kind: 'file', path: file } as const;
    const readers = [await openStore({ device, readOnly: true }), await openInline({ device, readOnly: true })];
    await expectCode(openStore({ device }), 'EBUSY');
    await expectCode(openStore({ device, readOnly: true, lock: 'exclusive' }), 'EBUSY');
    expect(await contentOf(readers[0])).toEqual(await contentOf(readers[1]));
    expect((await check(device)).outcome).toBe('clean');
    for (const reader of readers) await reader.close();
    const writer = await openStore({ device });
    await expectCode(openStore({ device, readOnly: true }), 'EBUSY', new RegExp(`pid ${process.pid}`));
    await expectCode(check(device), 'EBUSY');
    await writer.close();
    const unlocked = await openStore({ device, readOnly: true, lock: 'none' });
    await (await openStore({ device })).close();
    await unlocked.close();
  });

  test('refuses each call that would change it', async () => {
    const file = await storeFile(true);
    const store = await openStore({ device: { kind: 'file', path: file, readOnly: true } });
    const disk = await store.open({ name: 'disk' });
    const before = await store.open({ name: 'before' });
    expect(disk.isReadOnly).toBe(true);
    const data = new Uint8Array(4096);
    const calls: ((blob: Blob) => unknown)[] = [
      () => store.create(),
      () => store.delete({ name: 'disk' }),
      () => store.setSuperBlob({ name: 'disk' }),
      () => store.setSuperBlob(undefined),
      () => store.grow(),
      () => store.grow({ sizeBytes: 64 * MiB }),
      () => store.rename({ name: 'disk' }, 'other'),
      () => store.snapshot([disk]),
      (blob) => blob.write(data, 0),
      (blob) => blob.write(data.subarray(1, 3), 7),
      (blob) => blob.writev([data], 0),
      (blob) => blob.writeZeroes(0, 4096),
      (blob) => blob.trim(0, CLUSTER),
      (blob) => blob.writeSync(data, 0),
      (blob) => blob.writevSync([data], 0),
      (blob) => blob.writeZeroesSync(0, 4096),
      (blob) => blob.trimSync(0, CLUSTER),
      (blob) => blob.createWriteStream(),
      (blob) => blob.snapshot(),
      (blob) => blob.clone(),
      (blob) => blob.inflate(),
      (blob) => blob.decouple(),
      (blob) => blob.resize(0),
      (blob) => blob.setReadOnly(),
      (blob) => blob.xattrs.set('name', 'other'),
      (blob) => blob.xattrs.delete('name'),
    ];
    for (const blob of [disk, before]) {
      for (const call of calls) await expectCode(async () => call(blob), 'EPERM', /opened for reading only/);
    }
    if (!isAttached) await expectCode(store.destroy(), 'EPERM', /opened for reading only/);
    const target = memory(4 * MiB, 4096);
    expect(await before.copyTo(target)).toBe(4 * CLUSTER); // writes to another device
    expect(store.isClosed).toBe(false);
    await store.close();
  });

  test('sends no write and no flush to a device that it is given', async () => {
    const medium = new SparseMemoryDevice({ sizeBytes: 4 * MiB, blockLengthBytes: 512 });
    const dirty = await createInline({ device: medium, clusterSizeBytes: CLUSTER });
    await fill(dirty);
    await run(dirty.engine.blobstore.abandon());
    const device = new CountingDevice(medium);
    const store = await openStore({ device, readOnly: true });
    expect((await store.blobs()).map(({ name }) => name)).toEqual(['disk', 'before']);
    const disk = await store.open({ name: 'disk' });
    expectSame(await disk.read(100, CLUSTER - 100), bytes(3 * CLUSTER, 1).subarray(0, CLUSTER - 100));
    await store.flush();
    await store.close();
    expect(device.take()).toEqual({ writes: 0, flushes: 0 });
  });

  test('takes only options that fit', async () => {
    const device = { kind: 'file', path: await storeFile(true) } as const;
    const reading = { ...device, readOnly: true };
    await expectCode(openStore({ device, lock: 'shared' }), 'EINVAL', /'exclusive' or 'none'/);
    await expectCode(openStore({ device, lock: true as never }), 'EINVAL');
    await expectCode(openStore({ device, readOnly: true, grow: true }), 'EINVAL', /grow/);
    await expectCode(openStore({ device: reading, readOnly: false }), 'EINVAL', /readOnly/);
    await expectCode(createStore({ device, lock: 'shared' }), 'EINVAL');
    await expectCode(check(device, { repair: true, lock: 'shared' }), 'EINVAL');
    await expectCode(openStore({ device: { kind: 'file', path: `${device.path}.gone` }, readOnly: true }), 'ENOENT');
  });
});

/**
 * In pool and attached mode other threads read the device itself, below what recovery has written in memory. So recovery
 * must not write to a cluster of a blob, wherever the power was cut.
 */
test('shows what recovery makes of a store, wherever the power was cut', { timeout: 120_000 }, async () => {
  const total = (await cutAt(Number.POSITIVE_INFINITY)).writes;
  const step = isPooled ? Math.ceil(total / 12) : 3;
  for (let k = 20; k < total; k += step) {
    const { image } = await cutAt(k);
    const [one, other] = [1, 2].map(() => MemoryDevice.fromBytes(image, { blockLengthBytes: 512 }));
    const reader = await openStore({ device: one, readOnly: true }).catch((error: unknown) => error as Error);
    const writer = await openInline({ device: other }).catch((error: unknown) => error as Error);
    if (reader instanceof Error || writer instanceof Error) {
      expect(`${reader}`, `cut at ${k}`).toBe(`${writer}`);
      continue;
    }
    expect(await contentOf(reader), `cut at ${k}`).toEqual(await contentOf(writer));
    await reader.close();
    await writer.close();
    expectSame(imageOf(one), image, `cut at ${k}`);
  }
});

/** The medium of a store whose power is cut at the k-th change of it, and how many changes there were. */
async function cutAt(k: number): Promise<{ image: Uint8Array; writes: number }> {
  const medium = MemoryDevice.create({ sizeBytes: 1 * MiB, blockLengthBytes: 512 });
  const device = new FaultyDevice(medium);
  if (Number.isFinite(k)) device.cutPowerAt(k);
  try {
    const store = await createInline({ device, clusterSizeBytes: CLUSTER });
    for (const blob of await fill(store)) await blob.close();
    await store.delete({ name: 'before' });
    await store.close();
  } catch {
    // the power was cut
  }
  const { write, writeZeroes, unmap, flush } = device.counters;
  return { image: imageOf(medium), writes: write + writeZeroes + unmap + flush };
}

function imageOf(medium: BlockDevice): Uint8Array {
  const image = new Uint8Array(medium.blockCount * medium.blockLengthBytes);
  void medium.openChannel().read(image, 0, 0, medium.blockCount);
  return image;
}
