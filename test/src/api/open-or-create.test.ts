/** `openStore` with `create`: the store that is there, otherwise a new one. */

import { spawn, spawnSync } from 'node:child_process';
import fs, { existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createStore as createInline, MemoryDevice, openStore as openInline } from 'blobyard';
import { acquireStoreLock, FaultyDevice, SparseMemoryDevice } from 'blobyard/devices';
import { describe, expect, test, vi } from 'vitest';
import { CLUSTER, createStore, expectCode, KiB, MiB, memory, openStore, temporaryFolder } from './support.js';

async function newFile() {
  return { kind: 'file', path: path.join(await temporaryFolder(), 'yard.img'), sizeBytes: 4 * MiB } as const;
}

describe('openStore with create', () => {
  test('creates a file and its store, and opens it the next time', async () => {
    const device = await newFile();
    const options = { device, create: true, clusterSizeBytes: CLUSTER, bstype: 'TESTS' };
    const first = await openStore(options);
    const blob = await first.create({ name: 'kept', sizeBytes: CLUSTER });
    await blob.write(new Uint8Array(10).fill(7), 0);
    await first.close();
    expect(statSync(device.path).size).toBe(4 * MiB);
    const found: unknown[] = [];
    const again = await openStore({ ...options, clusterSizeBytes: 1 * MiB, onBlob: ({ name }) => found.push(name) });
    expect(found).toEqual(['kept']);
    expect(await again.stats()).toMatchObject({ clusterSizeBytes: CLUSTER, bstype: 'TESTS' });
    await again.close();
    await expectCode(openStore({ ...options, bstype: 'OTHER' }), 'ENXIO');
  });

  test('opens a store of any block length, without its size', async () => {
    const device = await newFile();
    await (await createStore({ device: { ...device, create: true, blockLengthBytes: 512 } })).close();
    const store = await openStore({ device: { kind: 'file', path: device.path }, create: true });
    expect((await store.stats()).ioUnitBytes).toBe(512);
    await store.close();
  });

  test('creates a store in an empty file, and where the creation of one was cut off', async () => {
    const device = await newFile();
    writeFileSync(device.path, '');
    await (await openStore({ device, create: true })).close();
    expect(statSync(device.path).size).toBe(4 * MiB);

    let k = 1;
    for (let isDone = false; !isDone; k++) {
      const medium = MemoryDevice.create({ sizeBytes: 1 * MiB, blockLengthBytes: 512 });
      const faulty = new FaultyDevice(medium);
      faulty.cutPowerAt(k);
      const made = await createInline({ device: faulty, clusterSizeBytes: CLUSTER }).catch(() => undefined);
      isDone = made !== undefined;
      await made?.close().catch(() => undefined);
      await (await openStore({ device: medium, create: true, clusterSizeBytes: CLUSTER })).close();
    }
    expect(k).toBeGreaterThan(4);
  });

  test('leaves other data alone', async () => {
    const device = await newFile();
    const text = 'a file of somebody else, which is no store';
    writeFileSync(device.path, text);
    await expectCode(openStore({ device, create: true }), 'ENOSPC'); // shorter than a block
    expect(readFileSync(device.path, 'utf8')).toBe(text);
    truncateSync(device.path, 2 * MiB);
    await expectCode(openStore({ device, create: true }), 'EILSEQ', /other data \(byte 0 is not zero\): createStore/);
    expect(readFileSync(device.path).subarray(0, text.length).toString()).toBe(text);
    const medium = memory();
    await medium.openChannel().write(new Uint8Array(512).fill(1), 0, 500, 1);
    await expectCode(openStore({ device: medium, create: true }), 'EILSEQ', /byte 256000/);
    const damaged = memory();
    await (await createStore({ device: damaged, clusterSizeBytes: CLUSTER })).close();
    await damaged.openChannel().write(new Uint8Array(512).fill(1), 0, 1, 1); // the rest of the super block
    await expectCode(openStore({ device: damaged, create: true }), 'EILSEQ');
  });

  test('makes a store on a new device in memory', async () => {
    const store = await openStore({ device: { kind: 'memory', sizeBytes: 4 * MiB }, create: true, mdPageCount: 16 });
    expect((await store.stats()).mdPageCount).toBe(16);
    await store.close();
    await expectCode(openStore({ device: new SparseMemoryDevice({ sizeBytes: 4 * KiB }), create: true }), 'ENOSPC');
  });

  test('removes a file that it made if no store can be made in it, and no other file', async () => {
    const device = await newFile();
    await expectCode(openStore({ device, create: true, clusterSizeBytes: 64 * MiB }), 'ENOSPC');
    expect(existsSync(device.path)).toBe(false);
    await expectCode(openStore({ device: { ...device, sizeBytes: 1000 }, create: true }), 'EINVAL', /sizeBytes/);
    expect(existsSync(device.path)).toBe(false);
    writeFileSync(device.path, '');
    await expectCode(openStore({ device, create: true, clusterSizeBytes: 64 * MiB }), 'ENOSPC');
    expect(existsSync(device.path)).toBe(true);
    await expectCode(openStore({ device: { kind: 'file', path: `${device.path}.gone` }, create: true }), 'ENOENT');
    expect(existsSync(`${device.path}.gone`)).toBe(false);
  });

  test('takes only options that fit', async () => {
    const device = await newFile();
    await expectCode(
      openStore({ device: { ...device, create: true }, create: true }),
      'EINVAL',
      /create of the device/,
    );
    await expectCode(openStore({ device, create: true, readOnly: true }), 'EINVAL', /create/);
    await expectCode(openStore({ device, clusterSizeBytes: CLUSTER }), 'EINVAL', /create: true/);
    await expectCode(openStore({ device, create: 'yes' as never }), 'EINVAL', /true or false/);
    await expectCode(openStore({ device, create: true, clusterSizeBytes: 1 }), 'EINVAL', /clusterSizeBytes/);
    expect(existsSync(device.path)).toBe(false);
  });
});

describe('of several that open or create at once', () => {
  test('one that finds the empty file of another, which has it locked, gets EBUSY and leaves it', async () => {
    const device = await newFile();
    writeFileSync(device.path, ''); // as the other has created it
    const other = acquireStoreLock(device.path);
    await expectCode(openStore({ device, create: true }), 'EBUSY');
    expect(statSync(device.path).size).toBe(0);
    other.release();
    await (await openStore({ device, create: true })).close(); // the other was killed before it did any more
  });

  test.each(['openStore', 'createStore'] as const)(
    '%s leaves the store that another has made before it locked the file',
    async (call) => {
      const device = await newFile();
      const program = `
      const { openStore } = await import('blobyard');
      const store = await openStore({ device: ${JSON.stringify(device)}, create: true, bstype: 'THEIRS' });
      await store.create({ name: 'theirs' });
      await store.close();`;
      // The new file is flushed before it is locked.
      const { fsyncSync } = fs;
      const flushing = vi.spyOn(fs, 'fsyncSync').mockImplementation((fd) => {
        flushing.mockRestore();
        fsyncSync(fd);
        const args = ['--input-type=module', '-e', program];
        expect(spawnSync(process.execPath, args, { cwd: import.meta.dirname, stdio: 'inherit' }).status).toBe(0);
      });
      if (call === 'openStore') await expectCode(openInline({ device, create: true, bstype: 'OURS' }), 'ENXIO');
      else await expectCode(createInline({ device: { ...device, create: true } }), 'EEXIST', /THEIRS/);
      const store = await openStore({ device: { kind: 'file', path: device.path } });
      expect(await store.has({ name: 'theirs' })).toBe(true);
      await store.close();
    },
  );

  test('each adds its blob to one store, or gets EBUSY', async () => {
    const device = await newFile();
    const program = `
      const { openStore } = await import('blobyard');
      const name = process.argv[1];
      process.once('message', async () => {
        for (let tries = 1; ; tries++) {
          try {
            const store = await openStore({ device: ${JSON.stringify(device)}, create: true, clusterSizeBytes: ${CLUSTER} });
            await store.create({ name });
            await store.close();
            break;
          } catch (error) {
            if (error.code !== 'EBUSY') { console.error(error); process.exit(1); }
            await new Promise((resolve) => setTimeout(resolve, 1));
          }
        }
        process.exit(0);
      });
      process.send('ready');`;
    const names = ['a', 'b', 'c', 'd'];
    const children = names.map((name) =>
      spawn(process.execPath, ['--input-type=module', '-e', program, name], {
        cwd: import.meta.dirname,
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      }),
    );
    await Promise.all(children.map((child) => new Promise((resolve) => child.once('message', resolve))));
    const ends = children.map((child) => new Promise((resolve) => child.once('exit', resolve)));
    for (const child of children) child.send('go');
    expect(await Promise.all(ends)).toEqual([0, 0, 0, 0]);
    const store = await openStore({ device: { kind: 'file', path: device.path } });
    expect((await store.blobs()).map(({ name }) => name).sort()).toEqual(names);
    await store.close();
  });
});
