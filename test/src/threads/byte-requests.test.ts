/**
 * What the device is asked for in pool mode when a range of bytes is read or written: exactly these bytes if it takes
 * any bytes, otherwise whole blocks.
 */

import { MemoryDevice } from 'blobyard';
import { describe, expect, test } from 'vitest';
import { bytes, CLUSTER, expectCode, expectSame, KiB, MiB } from '../api/support.js';
import { manyTurns, watched } from './actors.js';
import { Gate } from './gate.js';
import { gateDevice } from './gate-device.js';
import { listingDevice } from './listing-device.js';
import { createPooled } from './support.js';

const BLOCK = 4 * KiB;

function memory(): MemoryDevice['memory'] {
  return MemoryDevice.create({ sizeBytes: 8 * MiB, blockLengthBytes: BLOCK }).memory;
}

async function listed(takesBytes: boolean) {
  const { spec, take } = listingDevice(memory(), takesBytes);
  const { store } = await createPooled({ device: spec, clusterSizeBytes: CLUSTER, threads: 2 });
  const blob = await store.create({ sizeBytes: 8 * CLUSTER });
  const model = bytes(8 * CLUSTER, 1);
  await blob.write(model, 0);
  take();
  const write = (data: Uint8Array, offset: number) => {
    model.set(data, offset);
    return data;
  };
  return { store, blob, model, take, write };
}

describe('a device that takes any bytes', () => {
  test('is asked for exactly the bytes of a read, into memory of each kind', async () => {
    const { store, blob, model, take } = await listed(true);
    const ranges: [number, number, string[]][] = [
      [512, 512, ['readBytes 512']],
      [BLOCK - 1, 2, ['readBytes 2']],
      [100, 5000, ['readBytes 5000']],
      [0, BLOCK, ['read 4096']],
      // The clusters of a new blob follow one another on the device.
      [CLUSTER - 100, 300, ['readBytes 300']],
      [CLUSTER - BLOCK, 2 * CLUSTER + 7, ['readBytes 32775']],
    ];
    for (const [offset, length, expected] of ranges) {
      const wanted = model.subarray(offset, offset + length);
      for (const into of [new Uint8Array(length), store.allocate(length), new Uint8Array(length + 3).subarray(3)]) {
        expectSame(await blob.read(offset, into), wanted, `at ${offset}`);
        expect(take(), `at ${offset}`).toEqual(expected);
      }
      expectSame(await blob.read(offset, length), wanted, `a new array, at ${offset}`);
      expectSame(blob.readSync(offset, length), wanted, `readSync at ${offset}`);
      expect(take(), `at ${offset}`).toEqual([...expected, ...expected]);
    }
    const parts = [new Uint8Array(3), new Uint8Array(600)];
    await blob.readv(700, parts);
    expectSame(Buffer.concat(parts), model.subarray(700, 1303), 'a list');
    expect(take()).toEqual(['readBytes 603']);
  });

  test('gets exactly the bytes of a write, and is not asked to read', async () => {
    const { store, blob, model, take, write } = await listed(true);
    const ranges: [number, number, string[]][] = [
      [512, 512, ['writeBytes 512']],
      [BLOCK - 1, 2, ['writeBytes 2']],
      [100, 5000, ['writeBytes 5000']],
      [0, BLOCK, ['write 4096']],
      [CLUSTER - BLOCK, 2 * CLUSTER + 7, ['writeBytes 32775']],
    ];
    for (const [offset, length, expected] of ranges) {
      await blob.write(write(bytes(length, offset + 2), offset), offset);
      const shared = store.allocate(length);
      shared.set(bytes(length, offset + 3));
      await blob.write(write(shared, offset), offset);
      blob.writeSync(write(bytes(length, offset + 4), offset), offset);
      expect(take(), `at ${offset}`).toEqual([...expected, ...expected, ...expected]);
    }
    await blob.writev([write(bytes(10, 5), 300), write(bytes(20, 6), 310)], 300);
    expect(take()).toEqual(['writeBytes 30']);
    await blob.writeZeroes(1000, 30);
    model.fill(0, 1000, 1030);
    await blob.trim(2000, 10);
    model.fill(0, 2000, 2010);
    expect(take()).toEqual(['writeBytes 30', 'writeBytes 10']);
    expectSame(await blob.read(0, model.length), model, 'all');
  });

  test('gets a write that is larger than the buffer pool in pieces', async () => {
    const { spec, take } = listingDevice(MemoryDevice.create({ sizeBytes: 24 * MiB }).memory, true);
    const { store } = await createPooled({ device: spec, clusterSizeBytes: MiB });
    const blob = await store.create({ sizeBytes: 10 * MiB });
    const data = new Uint8Array(9 * MiB);
    for (let at = 0; at < data.length; at += 999) data[at] = at % 251;
    take();
    await blob.write(data, 77);
    const asked = take();
    const written = asked.map((each) => Number(each.split(' ')[1])).reduce((sum, length) => sum + length);
    expect([written, asked.some((each) => each.startsWith('read'))]).toEqual([data.length, false]);
    expectSame(await blob.read(77, data.length), data, 'all');
  });

  test('gets writes to different bytes of an io unit at the same time', async () => {
    const write = new Gate();
    const { store } = await createPooled({ device: gateDevice(memory(), { write }, true), clusterSizeBytes: CLUSTER });
    const blob = await store.create({ sizeBytes: CLUSTER });
    const model = bytes(CLUSTER, 1);
    await blob.write(model, 0);
    write.shut();
    const first = watched(blob.write(bytes(100, 2), 50));
    await write.held();
    await blob.write(bytes(100, 3), 150);
    const list = watched(blob.writev([bytes(CLUSTER - 300, 4), new Uint8Array(0), bytes(100, 5)], 200));
    await manyTurns();
    expect(first.isSettled).toBe(false);
    write.open();
    await Promise.all([first.promise, list.promise]);
    model.set(bytes(100, 2), 50);
    model.set(bytes(100, 3), 150);
    model.set(bytes(CLUSTER - 300, 4), 200);
    model.set(bytes(100, 5), CLUSTER - 100);
    expectSame(await blob.read(0, CLUSTER), model, 'one cluster');
  });

  test('fails with its error, and no byte changes', async () => {
    const [read, write] = [new Gate(), new Gate()];
    const device = gateDevice(memory(), { read, write });
    const { store } = await createPooled({ device, clusterSizeBytes: CLUSTER });
    const blob = await store.create({ sizeBytes: CLUSTER });
    const model = bytes(CLUSTER, 1);
    await blob.write(model, 0);
    write.fail();
    await expectCode(blob.write(bytes(9, 2), 7), 'EIO', /write to fail/);
    read.fail();
    await expectCode(blob.read(7, 9), 'EIO', /read to fail/);
    expectSame(await blob.read(7, 9), model.subarray(7, 16), 'unchanged');
    await blob.write(bytes(9, 2), 7);
    model.set(bytes(9, 2), 7);
    expectSame(await blob.read(0, CLUSTER), model, 'all');
  });

  test('gets exactly the bytes of each first write, also when several allocate the same cluster', async () => {
    const { store, take } = await listed(true);
    const thin = await store.create({ sizeBytes: 4 * CLUSTER, thin: true });
    const model = new Uint8Array(thin.sizeBytes);
    take();
    const writes = Array.from({ length: 20 }, (_, index) => {
      const data = bytes(100, index);
      model.set(data, CLUSTER - 1000 + index * 150); // the writes are in two clusters
      return thin.write(data, CLUSTER - 1000 + index * 150);
    });
    await Promise.all(writes);
    const asked = take();
    // A worker whose insertion comes second writes its bytes a second time, to the cluster of the first one.
    expect(asked.filter((each) => each === 'writeBytes 100').length).toBeGreaterThanOrEqual(writes.length);
    expect(asked.some((each) => each.startsWith('read'))).toBe(false);
    expectSame(await thin.read(0, model.length), model, 'thin');
    await store.close();
  });
});

test('a device that takes only blocks is asked for whole blocks', async () => {
  const { blob, model, take, write } = await listed(false);
  expectSame(await blob.read(512, 512), model.subarray(512, 1024), 'read');
  expect(take()).toEqual(['read 4096']);
  await blob.write(write(bytes(10, 2), 3), 3);
  expect(take()).toEqual(['read 4096', 'write 4096']);
  expectSame(await blob.read(0, model.length), model, 'all');
});
