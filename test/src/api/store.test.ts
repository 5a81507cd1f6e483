/** Making and opening stores, and the calls of an open store. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { createStore as createInline, MemoryDevice, openStore as openInline, SparseMemoryDevice } from 'blobyard';
import { FaultyDevice } from 'blobyard/devices';
import { run } from 'blobyard/engine';
import type { LowSpace } from 'blobyard/types';
import { describe, expect, test } from 'vitest';
import {
  bytes,
  CLUSTER,
  createStore,
  expectAbort,
  expectCode,
  expectSame,
  isAttached,
  isPooled,
  KiB,
  MiB,
  memory,
  openStore,
  temporaryFolder,
  testStore,
} from './support.js';

describe('making and opening', () => {
  test('a store in a file has all its bytes when it is opened again', async () => {
    const file = path.join(await temporaryFolder(), 'yard.img');
    const data = bytes(100_000);
    {
      await using store = await createStore({
        device: { kind: 'file', path: file, create: true, sizeBytes: 8 * MiB },
        clusterSizeBytes: 64 * KiB,
        bstype: 'TESTS',
      });
      await using blob = await store.create({ sizeBytes: 1 * MiB, thin: true, name: 'disk0' });
      await blob.write(data, 12_345);
    }
    await using store = await openStore({ device: { kind: 'file', path: file }, bstype: 'TESTS' });
    expect(await store.stats()).toMatchObject({
      bstype: 'TESTS',
      clusterSizeBytes: 64 * KiB,
      blobCount: 1,
      ioUnitBytes: 4096,
    });
    await using blob = await store.open({ name: 'disk0' });
    expect(blob.sizeBytes).toBe(1 * MiB);
    expectSame(await blob.read(12_345, data.length), data);
    expect((await blob.read(0, 12_345)).every((byte) => byte === 0)).toBe(true);
  });

  test('a file is locked while its store is open, and the holder is named', async () => {
    const file = path.join(await temporaryFolder(), 'yard.img');
    const store = await createStore({ device: { kind: 'file', path: file, create: true, sizeBytes: 4 * MiB } });
    await expectCode(openStore({ device: { kind: 'file', path: file } }), 'EBUSY', new RegExp(`pid ${process.pid}`));
    await expectCode(createStore({ device: { kind: 'file', path: file } }), 'EBUSY');
    const unlocked = await openInline({ device: { kind: 'file', path: file }, lock: 'none' });
    await run(unlocked.engine.blobstore.abandon());
    await unlocked.close();
    await store.close();
    await (await openStore({ device: { kind: 'file', path: file } })).close();
  });

  test('a file that another process has open is refused, and can be opened after that process was killed', async () => {
    const file = path.join(await temporaryFolder(), 'yard.img');
    const program = `
      const { createStore } = await import('blobyard');
      await createStore({ device: { kind: 'file', path: ${JSON.stringify(file)}, create: true, sizeBytes: 4194304 } });
      process.send('open');
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      cwd: import.meta.dirname,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    await new Promise((resolve) => child.once('message', resolve));
    await expectCode(openStore({ device: { kind: 'file', path: file } }), 'EBUSY', new RegExp(`process ${child.pid}`));
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
    await (await openStore({ device: { kind: 'file', path: file } })).close();
  });

  test('a file is removed again when no store can be made in it', async () => {
    const file = path.join(await temporaryFolder(), 'yard.img');
    const device = { kind: 'file', path: file, create: true, sizeBytes: 64 * KiB } as const;
    await expectCode(createStore({ device, clusterSizeBytes: 1 * MiB }), 'ENOSPC');
    expect(existsSync(file)).toBe(false);
    await expectAbort(createStore({ device: { ...device, sizeBytes: 4 * MiB }, signal: AbortSignal.abort() }));
    expect(existsSync(file)).toBe(false);
  });

  test('invalid options are refused, and the message says what is valid', async () => {
    const device = memory();
    const wrong: [object, RegExp][] = [
      [{ device: undefined }, /device/],
      [{ device: { kind: 'tape' } }, /kind/],
      [{ device, clusterSizeBytes: 5000 }, /multiple of 4096/],
      [{ device, clusterSizeBytes: Number.NaN }, /NaN/],
      [{ device, clusterSizeBytes: '1' }, /'1'/],
      [{ device, mdPageCount: 0 }, /mdPageCount/],
      [{ device, mdPageCount: 1.5 }, /1\.5/],
      [{ device, bstype: 'seventeen letters' }, /16/],
      [{ device, durability: 'none' }, /'power-loss' or 'process-crash'/],
      [{ device, clearMethod: 'shred' }, /'unmap'/],
      [{ device, cluster: 4096 }, /no option 'cluster'/],
      [{ device, lock: 'yes' }, /'exclusive' or 'none'/],
      [{ device, signal: {} }, /AbortSignal/],
      [{ device, openExternalSnapshot: 'no' }, /function/],
      [{ device, requestsMax: 0 }, /requestsMax/],
      [{ device, threads: -1 }, /threads/],
      [{ device, threads: 65 }, /threads/],
    ];
    for (const [options, message] of wrong) await expectCode(createStore(options as never), 'EINVAL', message);
    await expectCode(createStore(undefined as never), 'EINVAL');
    const oneThreadOnly = new SparseMemoryDevice({ sizeBytes: 4 * MiB });
    await expectCode(createInline({ device: oneThreadOnly, threads: 2 }), 'ENOTSUP', /`threads: 0`/);
    await expectCode(openInline({ device: { kind: 'sparse-memory', sizeBytes: 4 * MiB }, threads: 1 }), 'ENOTSUP');
    await expectCode(openStore({ device, recover: 'yes' } as never), 'EINVAL');
    await expectCode(openStore({ device, onDamage: 'ignore' } as never), 'EINVAL');
    await expectCode(openStore({ device }), 'EILSEQ');
    await expectCode(createStore({ device, mdPageCount: 1_000_000 }), 'ENOMEM');
  });

  test('the type of a store is checked', async () => {
    const device = memory();
    await (await createStore({ device, clusterSizeBytes: CLUSTER, bstype: 'ONE' })).close();
    await expectCode(openStore({ device, bstype: 'OTHER' }), 'ENXIO');
    await (await openStore({ device, bstype: new TextEncoder().encode('ONE') })).close();
  });

  test('onBlob gets each blob while the store is opened; if it throws or aborts, the opening ends', async () => {
    const device = memory();
    const made = await createStore({ device, clusterSizeBytes: CLUSTER });
    for (const name of ['a', 'b', 'c']) await made.create({ name, sizeBytes: CLUSTER });
    await made.close();
    const seen: unknown[] = [];
    const store = await openStore({ device, onBlob: (blob) => seen.push([blob.name, blob.sizeBytes]) });
    expect(seen).toEqual([
      ['a', CLUSTER],
      ['b', CLUSTER],
      ['c', CLUSTER],
    ]);
    await store.close();
    const cause = new Error('enough');
    const refuse = () => {
      throw cause;
    };
    await expect(openStore({ device, onBlob: refuse })).rejects.toMatchObject({ code: 'ECANCELED', cause });
    await expectAbort(openStore({ device, signal: AbortSignal.abort('late') }), 'late');
    await (await openStore({ device })).close();
  });

  test('an abort by the call of onBlob for the last blob ends the opening, too', async () => {
    const device = memory();
    const made = await createStore({ device, clusterSizeBytes: CLUSTER });
    for (const name of ['a', 'b']) await made.create({ name });
    await made.close();
    const controller = new AbortController();
    const onBlob = ({ name }: { name?: string }) => {
      if (name === 'b') controller.abort('enough');
    };
    await expectAbort(openStore({ device, signal: controller.signal, onBlob }), 'enough');
    const again = await openStore({ device });
    expect((await again.blobs()).map(({ name }) => name)).toEqual(['a', 'b']);
    await again.close();
  });

  test('an abort while the blobs are read ends the opening', async () => {
    const device = new FaultyDevice(memory(), { asynchronous: true });
    const made = await createStore({ device, clusterSizeBytes: CLUSTER });
    for (const name of ['a', 'b', 'c']) await made.create({ name });
    await made.close();
    const controller = new AbortController();
    const gate = device.gate('read', 5);
    const opening = openStore({ device, signal: controller.signal });
    await gate.reached;
    controller.abort();
    gate.release();
    await expectAbort(opening);
    await (await openStore({ device })).close();
  });

  test('a store grows with its device, when opened and while open', async () => {
    const device = MemoryDevice.create({ sizeBytes: 4 * MiB, maxSizeBytes: 16 * MiB });
    await (await createStore({ device, clusterSizeBytes: CLUSTER })).close();
    device.resize((8 * MiB) / 4096);
    const store = await openStore({ device, grow: true });
    const before = (await store.stats()).totalBytes;
    expect(before).toBeGreaterThan(6 * MiB);
    device.resize((8 * MiB + 5 * 4096) / 4096 + 1000);
    await store.grow();
    expect((await store.stats()).totalBytes).toBeGreaterThan(before);
    const blob = await store.create({ sizeBytes: 10 * MiB, name: 'large' });
    await blob.write(bytes(1000), 10 * MiB - 1000);
    await store.close();
    const again = await openStore({ device });
    expectSame(await (await again.open({ name: 'large' })).read(10 * MiB - 1000, 1000), bytes(1000));
    await again.close();
  });
});

describe('an open store', () => {
  test('lists its blobs', async () => {
    const store = await testStore();
    const thin = await store.create({ sizeBytes: 1, thin: true, name: 'thin', clearMethod: 'none' });
    const thick = await store.create({ sizeBytes: 3 * CLUSTER, xattrs: { name: 'thick' }, useExtentTable: false });
    const snapshot = await thin.snapshot();
    await thick.close();
    const infos = await store.blobs();
    expect(
      infos.map(({ name, sizeBytes, allocatedBytes, thin, readOnly, snapshot, clone, clearMethod }) => {
        return { name, sizeBytes, allocatedBytes, thin, readOnly, snapshot, clone, clearMethod };
      }),
    ).toEqual([
      {
        name: 'thin',
        sizeBytes: CLUSTER,
        allocatedBytes: 0,
        thin: true,
        readOnly: false,
        snapshot: false,
        clone: true,
        clearMethod: 'none',
      },
      {
        name: 'thick',
        sizeBytes: 3 * CLUSTER,
        allocatedBytes: 3 * CLUSTER,
        thin: false,
        readOnly: false,
        snapshot: false,
        clone: false,
        clearMethod: 'default',
      },
      {
        name: undefined,
        sizeBytes: CLUSTER,
        allocatedBytes: 0,
        thin: true,
        readOnly: true,
        snapshot: true,
        clone: false,
        clearMethod: 'none',
      },
    ]);
    expect(infos[0].parentId).toBe(snapshot.id);
    expect(infos[2].clones).toEqual([thin.id]);
    expect(await thin.info()).toEqual(infos[0]);
  });

  test('counts its space', async () => {
    const store = await testStore();
    const { freeBytes, totalBytes } = await store.stats();
    expect(freeBytes).toBe(totalBytes);
    const blob = await store.create({ sizeBytes: 4 * CLUSTER });
    expect((await store.stats()).freeBytes).toBe(freeBytes - 4 * CLUSTER);
    await blob.close();
    await store.delete(blob.id);
    expect((await store.stats()).freeBytes).toBe(freeBytes);
    await expectCode(store.create({ sizeBytes: totalBytes + CLUSTER }), 'ENOSPC');
    expect((await store.stats()).blobCount).toBe(0);
  });

  test('remembers its super blob until that is deleted', async () => {
    const device = memory();
    const store = await createStore({ device, clusterSizeBytes: CLUSTER });
    expect(await store.getSuperBlob()).toBeUndefined();
    const blob = await store.create({ name: 'root' });
    await store.setSuperBlob({ name: 'root' });
    await expectCode(store.setSuperBlob(99n), 'ENOENT');
    await store.close();
    const again = await openStore({ device });
    expect(await again.getSuperBlob()).toBe(blob.id);
    await again.setSuperBlob(undefined);
    expect(await again.getSuperBlob()).toBeUndefined();
    await again.setSuperBlob(blob.id);
    await again.delete(blob.id);
    expect(await again.getSuperBlob()).toBeUndefined();
    await again.close();
  });

  test('dumps its metadata, also if it was never closed', async () => {
    const store = await testStore();
    const blob = await store.create({ name: 'dumped', sizeBytes: CLUSTER });
    const text = await store.dump();
    expect(text).toContain('Signature: "SPDKBLOB" (OK)');
    expect(text).toContain('value = "dumped"');
    expect(text).toContain(`Blob ID: 0x${blob.id.toString(16)}`);
    const stream = new PassThrough();
    const collected: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => collected.push(chunk));
    await store.dump(stream);
    expect(stream.writableEnded).toBe(false);
    expect(Buffer.concat(collected).toString()).toBe(text);
  });

  // On an attached thread, the arena is another object for the same memory.
  test.skipIf(isAttached)('allocates shared memory, from the arena of a memory device while it has room', async () => {
    const device = MemoryDevice.create({ sizeBytes: 4 * MiB, arenaBytes: 64 * KiB });
    const store = await testStore(device);
    const own = store.allocate(10_000);
    expect(own.buffer).toBe(device.memory.buffer);
    const large = store.allocate(1 * MiB);
    expect(large.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect(large.buffer).not.toBe(device.memory.buffer);
    const blob = await store.create({ sizeBytes: 1 * MiB });
    own.set(bytes(10_000));
    await blob.write(own, 4096);
    await blob.read(0, large);
    expectSame(large.subarray(4096, 14_096), bytes(10_000));
    store.release(own);
    store.release(large);
    await expectCode(() => store.release(own), 'EINVAL');
    for (const wrong of [0, -1, 1.5, Number.NaN, '7', 2 ** 53])
      await expectCode(() => store.allocate(wrong as number), 'EINVAL');
    await expectCode(() => store.allocate(2 ** 52), 'ENOMEM');
  });

  test('tells its units, and has a channel where this thread transfers itself', async () => {
    const store = await testStore();
    const blob = await store.create({ sizeBytes: CLUSTER });
    expect(store).toMatchObject({ ioUnitBytes: 512, clusterSizeBytes: CLUSTER });
    if (isPooled && !isAttached) return expectCode(() => store.channel, 'ENOTSUP', /attach/);
    expect(store.channel).toBe(store.channel);
    store.channel.writeSync(blob, bytes(512), 3, 1);
    expectSame(await blob.read(3 * 512, 512), bytes(512));
    if (isAttached) await expectCode(() => store.engine, 'ENOTSUP');
  });

  test.runIf(!isPooled)('gives access to its engine', async () => {
    const store = await testStore();
    const blob = await store.create({ sizeBytes: CLUSTER });
    const { blobstore } = store.engine;
    store.channel.writeSync(blob.engine, bytes(512), 3, 1);
    expectSame(await blob.read(3 * 512, 512), bytes(512));
    expect(blobstore.geometry.ioUnitBytes).toBe(512);
  });

  test('emits its events on the thread that opened it, and refuses listeners on other threads', async () => {
    const store = await testStore();
    if (isAttached) {
      await expectCode(() => store.on('low-space', () => undefined), 'ENOTSUP', /the thread that opened the store/);
      await expectCode(once(store, 'low-space'), 'ENOTSUP');
      return;
    }
    const { freeBytes } = await store.stats();
    const told = once(store, 'low-space') as Promise<[LowSpace]>;
    await store.create({ sizeBytes: Math.floor((freeBytes * 0.97) / CLUSTER) * CLUSTER });
    expect((await told)[0].freeBytes).toBeLessThan(0.05 * freeBytes);
  });

  test('does not affect another open store', async () => {
    const [one, other] = [await testStore(), await testStore()];
    await one.create({ name: 'same', sizeBytes: CLUSTER });
    const blob = await other.create({ name: 'same', sizeBytes: 2 * CLUSTER });
    await Promise.all([(await one.open({ name: 'same' })).write(bytes(100, 1), 0), blob.write(bytes(100, 2), 0)]);
    expectSame(await (await one.open({ name: 'same' })).read(0, 100), bytes(100, 1));
    expectSame(await blob.read(0, 100), bytes(100, 2));
  });
});
