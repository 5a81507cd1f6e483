/** Writes of any byte ranges at the same time, on all kinds of devices: no write may lose the bytes of another one. */

import { type Blob, MemoryDevice } from 'blobyard';
import { asyncDevice, type BlockDevice, FaultyDevice } from 'blobyard/devices';
import { describe, expect, test } from 'vitest';
import { shuffled } from '../random.js';
import {
  bytes,
  CLUSTER,
  expectCode,
  expectSame,
  isPooled,
  MiB,
  memory,
  numbers,
  onlyBlocks,
  printedSeed,
  testStore,
  verify,
} from './support.js';

/** Devices that answer at once, later in order, or later in a random order. */
const DEVICES: [string, (seed: number) => BlockDevice][] = [
  ['synchronous', () => memory(8 * MiB)],
  ['in shared memory', () => MemoryDevice.create({ sizeBytes: 8 * MiB, blockLengthBytes: 512 })],
  ['asynchronous, in order', () => asyncDevice(memory(8 * MiB))],
  ['asynchronous, shuffled', (seed) => asyncDevice(memory(8 * MiB), shuffled(seed))],
  [
    'asynchronous, shuffled, in microtasks',
    (seed) => asyncDevice(memory(8 * MiB), { ...shuffled(seed), when: 'microtask' }),
  ],
  ['synchronous, only blocks', () => onlyBlocks(memory(8 * MiB))],
  ['asynchronous, only blocks, shuffled', (seed) => asyncDevice(onlyBlocks(memory(8 * MiB)), shuffled(seed))],
  ['asynchronous, blocks of 4 KiB', (seed) => asyncDevice(memory(8 * MiB, 4096), shuffled(seed))],
];

describe.each(DEVICES)('%s', (name, makeDevice) => {
  test('writes to disjoint bytes of the same io units all take effect', { timeout: 120_000 }, async () => {
    const seed = printedSeed(name);
    const next = numbers(seed);
    const store = await testStore(makeDevice(seed));
    const base = await store.create({ sizeBytes: 8 * CLUSTER, thin: true, clearMethod: 'unmap' });
    const model = new Uint8Array(base.sizeBytes);
    await base.write(bytes(50_000, 3), 100);
    model.set(bytes(50_000, 3), 100);
    await base.snapshot(); // reads go through, writes copy
    const handles = [base, await store.open(base.id)];
    for (let round = 0; round < 40; round++) {
      const work: Promise<unknown>[] = [];
      for (const [offset, length] of disjointRanges(next, model.length)) {
        work.push(change(handles[next(2)], model, next, offset, length));
        if (next(8) === 0) work.push(base.read(next(1000), next(30_000)));
      }
      if (next(4) === 0) work.push(base.snapshot());
      if (next(4) === 0) work.push(base.flush());
      if (next(6) === 0) work.push(base.inflate());
      await Promise.all(work);
      expectSame(await base.read(0, model.length), model, `SEED=${seed}, round ${round}`);
    }
    verify(store);
  });

  test('of writes to the same bytes, each io unit has the bytes of one of them', async () => {
    const seed = printedSeed(name);
    const next = numbers(seed);
    const store = await testStore(makeDevice(seed));
    const blob = await store.create({ sizeBytes: 2 * CLUSTER, thin: true });
    for (let round = 0; round < 60; round++) {
      const offset = next(2000);
      const fills = [1, 2, 3, 4].map((value) => new Uint8Array(1 + next(1500)).fill(value));
      await blob.writeZeroes(0, 8192);
      await Promise.all(fills.map((data) => blob.write(data, offset)));
      const after = await blob.read(0, 8192);
      const longest = Math.max(...fills.map((fill) => fill.length));
      expect(after.subarray(0, offset).every((byte) => byte === 0)).toBe(true);
      expect(after.subarray(offset, offset + longest).every((byte) => byte > 0)).toBe(true);
      expect(after.subarray(offset + longest).every((byte) => byte === 0)).toBe(true);
    }
  });
});

/** Ranges that share no byte but many io units, as [offset, length] in bytes, in a random order. */
function disjointRanges(next: (limit: number) => number, size: number): [number, number][] {
  const ranges: [number, number][] = [];
  for (let at = next(300); at < size; ) {
    const small = next(3) > 0;
    const length = Math.min(1 + next(small ? 200 : 9000), size - at);
    ranges.push([at, length]);
    at += length + (next(2) === 0 ? 0 : next(2000));
  }
  for (let index = ranges.length - 1; index > 0; index--) {
    const other = next(index + 1);
    [ranges[index], ranges[other]] = [ranges[other], ranges[index]];
  }
  return ranges.slice(0, 40);
}

/** One random change of a blob and of its model. Some use a synchronous form, where the store has it. */
async function change(
  blob: Blob,
  model: Uint8Array,
  next: (limit: number) => number,
  offset: number,
  length: number,
): Promise<void> {
  const data = bytes(length, next(2 ** 30));
  const kind = next(6);
  if (kind === 0) {
    model.fill(0, offset, offset + length);
    return blob.writeZeroes(offset, length);
  }
  model.set(data, offset);
  if (kind === 1) {
    const half = next(length);
    return blob.writev([data.subarray(0, half), data.subarray(half)], offset);
  }
  if (kind < 4) return blob.write(data, offset);
  try {
    blob.writeSync(data, offset);
  } catch (error) {
    const { code } = error as { code: string };
    if (code !== 'ENOTSUP' && code !== 'EBUSY') throw error;
    return blob.write(data, offset);
  }
}

describe('on a device that takes only blocks', () => {
  async function gated() {
    const device = new FaultyDevice(onlyBlocks(memory()), { asynchronous: true });
    const store = await testStore(device);
    const blob = await store.create({ sizeBytes: CLUSTER });
    await blob.write(new Uint8Array(4096).fill(9), 0);
    return { device, blob };
  }

  test('an aligned write waits for an unaligned one that has read its io unit', async () => {
    const { device, blob } = await gated();
    const gate = device.gate('write', 1);
    const unaligned = blob.write(Uint8Array.of(1), 600);
    await gate.reached; // io unit 1 was read, and is about to be written
    const aligned = blob.write(new Uint8Array(512).fill(2), 512);
    const beside = blob.write(new Uint8Array(512).fill(3), 1024);
    await beside; // another io unit: it does not wait
    gate.release();
    await Promise.all([unaligned, aligned]);
    expect((await blob.read(512, 512)).every((byte) => byte === 2)).toBe(true);
  });

  test('an unaligned write waits for an aligned one that is under way', async () => {
    const { device, blob } = await gated();
    const gate = device.gate('write', 1);
    const reads = device.count('read');
    const aligned = blob.write(new Uint8Array(1024).fill(2), 512);
    await gate.reached;
    const unaligned = blob.write(Uint8Array.of(1), 600);
    await blob.read(0, 512); // gives the unaligned write a turn in which it could have read its io unit
    expect(device.count('read')).toBe(reads + 1);
    gate.release();
    await Promise.all([unaligned, aligned]);
    const after = await blob.read(512, 512);
    expect(after[88]).toBe(1);
    expect(after.filter((byte) => byte === 2).length).toBe(511);
  });

  test('aligned writes to the same io units do not wait for each other', async () => {
    const { device, blob } = await gated();
    const gate = device.gate('write', 1);
    const first = blob.write(new Uint8Array(512), 0);
    await gate.reached;
    await blob.write(new Uint8Array(2048), 0);
    gate.release();
    await first;
  });

  test('shrinking waits for writes to the part that it cuts off; later writes there are refused', async () => {
    const { device, blob } = await gated();
    await blob.resize(4 * CLUSTER);
    const gate = device.gate('write', 1);
    const before = blob.write(Uint8Array.of(1), 3 * CLUSTER + 5);
    await gate.reached;
    const resizing = blob.resize(2 * CLUSTER);
    const inside = blob.write(Uint8Array.of(7), 5);
    await inside;
    gate.release();
    await Promise.all([before, resizing]);
    await expectCode(blob.write(Uint8Array.of(1), 3 * CLUSTER + 5), 'EINVAL');
    expect(blob.sizeBytes).toBe(2 * CLUSTER);
  });

  // Other threads write just the bytes to a memory device, so no io unit is locked; see
  // `threads/byte-requests.test.ts`.
  test.skipIf(isPooled)('a synchronous write is EBUSY where an unaligned one has locked its io unit', async () => {
    const outside = new FaultyDevice(memory(CLUSTER), { asynchronous: true });
    const store = await testStore(onlyBlocks(memory()), { openExternalSnapshot: () => outside });
    const blob = await store.create({ sizeBytes: CLUSTER, externalSnapshotId: 'asynchronous' });
    const gate = outside.gate('read', 1);
    const unaligned = blob.write(Uint8Array.of(1), 600);
    await gate.reached; // the write reads the rest of io unit 1 from the external snapshot
    await expectCode(() => blob.writeSync(new Uint8Array(512).fill(2), 512), 'EBUSY', /io units 1 to 1/);
    await expectCode(() => blob.writeZeroesSync(0, 513), 'EBUSY');
    await expectCode(() => blob.trimSync(1023, 1), 'EBUSY');
    blob.trimSync(0, 512); // nothing is allocated there: the trim has nothing to do, and does not wait
    gate.release();
    await unaligned;
    blob.writeSync(Uint8Array.of(3), 601);
    expect([...(await blob.read(599, 4))]).toEqual([0, 1, 3, 0]);
  });
});

describe.skipIf(isPooled)('on a device that takes any bytes', () => {
  async function gated() {
    const device = new FaultyDevice(memory(4 * MiB, 4096), { asynchronous: true });
    const store = await testStore(device);
    const blob = await store.create({ sizeBytes: 4 * CLUSTER, thin: true });
    return { device, store, blob };
  }

  test('writes to different bytes of an io unit do not wait for each other, and read nothing', async () => {
    const { device, blob } = await gated();
    const model = new Uint8Array(4096).fill(9);
    await blob.write(model, 0);
    const [reads, writes] = [device.count('read'), device.count('write')];
    const gate = device.gate('write', 1);
    const first = blob.write(bytes(100, 1), 50);
    await gate.reached;
    await blob.write(bytes(100, 2), 150);
    await blob.writev([bytes(10, 3), bytes(10, 4)], 250);
    gate.release();
    await first;
    model.set(bytes(100, 1), 50);
    model.set(bytes(100, 2), 150);
    model.set(bytes(10, 3), 250);
    model.set(bytes(10, 4), 260);
    expect([device.count('read') - reads, device.count('write') - writes]).toEqual([0, 3]);
    expectSame(await blob.read(0, 4096), model, 'one io unit');
  });

  test('first writes to different bytes of an io unit share one cluster', async () => {
    const { blob } = await gated();
    const model = new Uint8Array(CLUSTER);
    const writes = Array.from({ length: 20 }, (_, index) => {
      const data = bytes(100, index);
      model.set(data, index * 150);
      return blob.write(data, index * 150);
    });
    await Promise.all(writes);
    expectSame(await blob.read(0, CLUSTER), model, 'one cluster');
  });

  test('a write of a long list of arrays in whole blocks waits for a write of bytes, and a write of bytes for it', async () => {
    const { device, blob } = await gated();
    await blob.resize(16 * CLUSTER);
    const all = bytes(8 * CLUSTER, 1);
    await blob.write(all, 0);
    const gate = device.gate('write', 1);
    const before = blob.write(bytes(100, 2), 10);
    await gate.reached;
    const reads = device.count('read');
    const list = blob.writev([bytes(5 * CLUSTER, 3), bytes(100, 4)], 200); // more than 64 KiB
    const after = blob.write(bytes(100, 5), 50); // the same io unit as the beginning of the list
    await blob.read(15 * CLUSTER, 4096); // gives the list a turn in which it could have read the blocks at its edges
    expect(device.count('read') - reads).toBe(0);
    gate.release();
    await Promise.all([before, list, after]);
    all.set(bytes(100, 2), 10);
    all.set(bytes(5 * CLUSTER, 3), 200);
    all.set(bytes(100, 4), 200 + 5 * CLUSTER);
    all.set(bytes(100, 5), 50);
    expectSame(await blob.read(0, all.length), all, 'all');
  });

  test('any bytes are read through a clone from an external snapshot whose device takes only blocks', async () => {
    const content = bytes(CLUSTER, 6);
    const outside = onlyBlocks(memory(CLUSTER, 512));
    await outside.openChannel().write(content, 0, 0, CLUSTER / 512);
    const store = await testStore(memory(), { openExternalSnapshot: () => asyncDevice(outside) });
    const blob = await store.create({ sizeBytes: CLUSTER, externalSnapshotId: 'outside' });
    for (const [offset, length] of [
      [3, 4],
      [510, 1030],
      [0, 700],
    ]) {
      expectSame(await blob.read(offset, length), content.subarray(offset, offset + length), `${length} at ${offset}`);
    }
    await blob.write(bytes(10, 7), 100);
    content.set(bytes(10, 7), 100);
    expectSame(await blob.read(0, CLUSTER), content, 'after a first write');
  });
});
