/** Growing a store together with its device, and what is reserved for that when a store is created. */

import { statSync, truncateSync } from 'node:fs';
import path from 'node:path';
import { openStore as openInline, SparseMemoryDevice } from 'blobyard';
import { describe, expect, test } from 'vitest';
import {
  bytes,
  CLUSTER,
  createStore,
  expectCode,
  expectSame,
  isPooled,
  MiB,
  memory,
  openStore,
  temporaryFolder,
} from './support.js';

const GiB = 1024 * MiB;
const TiB = 1024 * GiB;

async function newFile(sizeBytes = 64 * MiB) {
  return { kind: 'file', path: path.join(await temporaryFolder(), 'yard.img'), create: true, sizeBytes } as const;
}

describe('grow', () => {
  test('with a size makes the file longer, and then the store', async () => {
    const device = await newFile();
    const store = await createStore({ device });
    const before = await store.stats();
    const blob = await store.create({ name: 'disk', sizeBytes: 200 * MiB, thin: true });
    await store.grow({ sizeBytes: 256 * MiB });
    expect(statSync(device.path).size).toBe(256 * MiB);
    expect((await store.stats()).totalBytes).toBe(before.totalBytes + 192 * MiB);
    await blob.write(bytes(5000), 199 * MiB);
    await store.grow({ sizeBytes: 100 * MiB }); // it is larger already
    await Promise.all([300, 280, 320].map((each) => store.grow({ sizeBytes: each * MiB - 1 })));
    expect(statSync(device.path).size).toBe(320 * MiB);
    truncateSync(device.path, 400 * MiB);
    await store.grow();
    expect((await store.stats()).totalBytes).toBe(before.totalBytes + 336 * MiB);
    await store.close();
    const again = await openStore({ device: { kind: 'file', path: device.path } });
    expect((await again.stats()).totalBytes).toBe(before.totalBytes + 336 * MiB);
    const disk = await again.open({ name: 'disk' });
    expectSame(await disk.read(199 * MiB, 5000), bytes(5000));
    await again.close();
  });

  test('of a file that is open on other threads reaches them', async () => {
    const device = await newFile(8 * MiB);
    const store = await createStore({ device, clusterSizeBytes: CLUSTER });
    const blob = await store.create({ sizeBytes: 0 });
    await store.grow({ sizeBytes: 32 * MiB });
    await blob.resize(29 * MiB);
    await blob.write(bytes(CLUSTER), 29 * MiB - CLUSTER);
    blob.writeSync(bytes(CLUSTER, 2), 29 * MiB - 2 * CLUSTER);
    expectSame(await blob.read(29 * MiB - 2 * CLUSTER, CLUSTER), bytes(CLUSTER, 2));
    await store.close();
  });

  test('beyond what was reserved is refused, changes nothing, and the message says how to go on', async () => {
    const device = await newFile();
    const store = await createStore({ device });
    const { growLimitBytes } = await store.stats();
    expect(growLimitBytes).toBe(32_728 * MiB);
    await expectCode(store.grow({ sizeBytes: growLimitBytes + 1 }), 'ENOSPC', /reserved for 34317795328; .*growTo/);
    expect(statSync(device.path).size).toBe(64 * MiB);
    await store.grow({ sizeBytes: growLimitBytes });
    truncateSync(device.path, growLimitBytes + 1 * MiB);
    await expectCode(store.grow(), 'ENOSPC', /createStore makes with a larger growTo/);
    await store.close();
  });

  test('needs a device that can be resized, for a size', async () => {
    const fixed = memory();
    const store = await createStore({ device: fixed, clusterSizeBytes: CLUSTER });
    await store.grow();
    await expectCode(store.grow({ sizeBytes: 0 }), 'EINVAL', /sizeBytes/);
    await expectCode(store.grow({ size: 1 } as never), 'EINVAL', /no option 'size'/);
    await store.grow({ sizeBytes: 1 });
    if (isPooled) await expectCode(store.grow({ sizeBytes: 8 * MiB }), 'EINVAL');
    await store.close();
  });
});

describe('growTo', () => {
  test.each([
    ['64 MiB', 64 * MiB, 40 * GiB, 4096],
    ['1 GiB', 1 * GiB, 40 * GiB, 40 * 1024],
    ['64 MiB', 64 * MiB, 8 * TiB, 4096],
    ['64 MiB', 64 * MiB, 1 * MiB, 64],
  ])('makes a store on %s that can grow as far', async (_, sizeBytes, growTo, mdPageCount) => {
    const device = await newFile(sizeBytes);
    const store = await createStore({ device, growTo });
    const { growLimitBytes, ...stats } = await store.stats();
    expect(stats.mdPageCount).toBe(mdPageCount);
    expect(growLimitBytes).toBeGreaterThanOrEqual(growTo);
    const blob = await store.create({ name: 'disk', sizeBytes: 10 * MiB });
    await blob.write(bytes(5000), 7);
    await store.grow({ sizeBytes: growTo });
    expect((await store.stats()).growLimitBytes).toBe(growLimitBytes);
    await store.close();
    const again = await openStore({ device: { kind: 'file', path: device.path } });
    expect((await again.stats()).growLimitBytes).toBe(growLimitBytes);
    const disk = await again.open({ name: 'disk' });
    expectSame(await disk.read(7, 5000), bytes(5000));
    await again.close();
  });

  test('reserves a bit for each cluster, and with mdPageCount nothing more', async () => {
    const metadataBytes = async (growTo?: number) => {
      const device = new SparseMemoryDevice({ sizeBytes: 1 * GiB });
      const store = await openInline({ device, create: true, mdPageCount: 64, growTo });
      const { totalBytes } = await store.stats();
      await store.close();
      return 1 * GiB - totalBytes;
    };
    expect(await metadataBytes()).toBe(1 * MiB);
    expect(await metadataBytes(1 * TiB)).toBe(1 * MiB); // 128 KiB more, of the same cluster
    expect(await metadataBytes(128 * TiB)).toBe(17 * MiB);
  });

  test('is a number of bytes that a store can have', async () => {
    const device = memory();
    await expectCode(createStore({ device, growTo: 0 }), 'EINVAL', /growTo/);
    await expectCode(createStore({ device, growTo: 1.5 }), 'EINVAL', /growTo/);
    await expectCode(createStore({ device, clusterSizeBytes: 4096, growTo: 16 * TiB }), 'EINVAL', /growTo/);
    await expectCode(openStore({ device, growTo: 1 * GiB }), 'EINVAL', /create: true/);
    await expectCode(createStore({ device, growTo: 128 * TiB }), 'ENOMEM', /metadata does not fit/);
  });
});
