/** Reads and writes of byte ranges of one blob, in promise form and synchronous, on devices of each kind. */

import { type Blob, MemoryDevice } from 'blobyard';
import { asyncDevice, type BlockDevice, FaultyDevice } from 'blobyard/devices';
import { describe, expect, test } from 'vitest';
import { bytes, CLUSTER, expectCode, expectSame, KiB, MiB, memory, onlyBlocks, testStore } from './support.js';

const DEVICES: [string, () => BlockDevice][] = [
  ['a synchronous device', () => memory()],
  ['an asynchronous device', () => asyncDevice(memory())],
  ['a memory device with blocks of 4 KiB', () => MemoryDevice.create({ sizeBytes: 4 * MiB })],
];

async function filled(device: BlockDevice, options: object = {}): Promise<{ blob: Blob; content: Uint8Array }> {
  const store = await testStore(device);
  const blob = await store.create({ sizeBytes: 4 * CLUSTER, ...options });
  const content = bytes(blob.sizeBytes, 7);
  await blob.write(content, 0);
  return { blob, content };
}

describe.each(DEVICES)('on %s', (_, makeDevice) => {
  test('a range of bytes is read and written wherever it begins and ends', async () => {
    const { blob, content } = await filled(makeDevice());
    const edges = [0, 1, 511, 512, 513, 4095, 4096, 4097, CLUSTER - 1, CLUSTER, CLUSTER + 1, 3 * CLUSTER + 17];
    for (const offset of edges) {
      for (const length of [0, 1, 2, 511, 512, 513, 1024, 4096, 5000, CLUSTER + 3]) {
        if (offset + length > blob.sizeBytes) continue;
        expectSame(
          await blob.read(offset, length),
          content.subarray(offset, offset + length),
          `${length} at ${offset}`,
        );
        const data = bytes(length, offset + length);
        content.set(data, offset);
        await blob.write(data, offset);
      }
    }
    expectSame(await blob.read(0, blob.sizeBytes), content);
  });

  test('a list of arrays is read and written as one range', async () => {
    const { blob, content } = await filled(makeDevice());
    for (const [offset, lengths] of [
      [0, [512, 512]],
      [3, [1, 2, 3, 4]],
      [500, [0, 12, 4096, 0, 700, 8192]],
      [CLUSTER - 100, [50, CLUSTER, 100]],
      [7, []],
    ] as const) {
      const data = lengths.map((length, index) => bytes(length, offset + index));
      await blob.writev(data, offset);
      content.set(Buffer.concat(data), offset);
      const into = [...lengths].reverse().map((length) => new Uint8Array(length));
      await blob.readv(offset, into);
      const total = Buffer.concat(into);
      expectSame(total, content.subarray(offset, offset + total.length));
    }
    expectSame(await blob.read(0, blob.sizeBytes), content);
  });

  test('arrays in shared memory, and parts of arrays, are filled in place', async () => {
    const { blob, content } = await filled(makeDevice());
    const shared = new Uint8Array(new SharedArrayBuffer(10_000), 100, 5000);
    expect(await blob.read(33, shared)).toBe(shared);
    expectSame(shared, content.subarray(33, 5033));
    await blob.write(shared, 60_000);
    expectSame(await blob.read(60_000, 5000), shared);
    const buffer = Buffer.from('a buffer is an array of bytes, too');
    await blob.write(buffer, 1);
    expect(Buffer.from(await blob.read(1, buffer.length)).toString()).toBe(buffer.toString());
  });

  test('writing zeroes and trimming change exactly the bytes of their range', async () => {
    const { blob, content } = await filled(makeDevice(), { thin: true });
    const ranges = [
      [0, 1],
      [510, 4],
      [700, 20],
      [4096, 4096],
      [5000, 9000],
      [CLUSTER - 7, 14],
      [2 * CLUSTER, 0],
    ];
    for (const [index, [offset, length]] of ranges.entries()) {
      await (index % 2 === 0 ? blob.writeZeroes(offset, length) : blob.trim(offset, length));
      content.fill(0, offset, offset + length);
      expectSame(await blob.read(0, blob.sizeBytes), content);
    }
    await blob.trim(CLUSTER + 100, 2 * CLUSTER);
    content.fill(0, CLUSTER + 100, 3 * CLUSTER + 100);
    expectSame(await blob.read(0, blob.sizeBytes), content);
    expect((await blob.info()).allocatedBytes).toBe(3 * CLUSTER);
  });

  test('a thin blob knows where its data is', async () => {
    const store = await testStore(makeDevice());
    const blob = await store.create({ sizeBytes: 6 * CLUSTER, thin: true });
    expect([blob.nextData(0), blob.nextHole(5)]).toEqual([undefined, 5]);
    await blob.write(bytes(10), 2 * CLUSTER + 700);
    await blob.write(bytes(10), 3 * CLUSTER);
    expect([blob.nextData(0), blob.nextData(2 * CLUSTER + 3)]).toEqual([2 * CLUSTER, 2 * CLUSTER + 3]);
    expect([blob.nextHole(2 * CLUSTER + 3), blob.nextData(4 * CLUSTER)]).toEqual([4 * CLUSTER, undefined]);
    expect(blob.nextHole(blob.sizeBytes)).toBeUndefined();
    await expectCode(() => blob.nextHole(blob.sizeBytes + 1), 'EINVAL');
  });

  test('the data that shrinking cuts off is zeroes when the blob grows again', async () => {
    const { blob, content } = await filled(makeDevice());
    await blob.resize(CLUSTER + 1);
    expect(blob.sizeBytes).toBe(2 * CLUSTER);
    await expectCode(blob.read(2 * CLUSTER - 1, 2), 'EINVAL', /the blob has 32768/);
    await blob.resize(4 * CLUSTER);
    content.fill(0, 2 * CLUSTER);
    expectSame(await blob.read(0, blob.sizeBytes), content);
  });

  test('requests beyond the number that the device gets at once wait until others have ended', async () => {
    const store = await testStore(makeDevice(), { requestsMax: 4 });
    const blob = await store.create({ sizeBytes: 64 * CLUSTER, thin: true });
    const writes = Array.from({ length: 300 }, (_, index) => blob.write(bytes(1000, index + 1), index * 3001));
    await Promise.all(writes);
    const reads = Array.from({ length: 300 }, (_, index) => blob.read(index * 3001, 1000));
    for (const [index, read] of (await Promise.all(reads)).entries()) expectSame(read, bytes(1000, index + 1));
  });
});

describe('the synchronous forms', () => {
  test('do the same as the promise forms', async () => {
    const { blob, content } = await filled(memory(), { thin: true });
    for (const [offset, length] of [
      [0, 512],
      [1, 3],
      [511, 2],
      [600, 5000],
      [CLUSTER - 5, CLUSTER + 9],
      [9, 0],
    ]) {
      const data = bytes(length, offset + 1);
      blob.writeSync(data, offset);
      content.set(data, offset);
      expectSame(blob.readSync(offset, length), data);
    }
    blob.writevSync([bytes(5), bytes(2000, 2)], 333);
    content.set(Buffer.concat([bytes(5), bytes(2000, 2)]), 333);
    const into = [new Uint8Array(1000), new Uint8Array(1005)];
    blob.readvSync(333, into);
    expectSame(Buffer.concat(into), content.subarray(333, 2338));
    blob.writeZeroesSync(100, 1000);
    blob.trimSync(3000, 20_000);
    content.fill(0, 100, 1100).fill(0, 3000, 23_000);
    expectSame(blob.readSync(0, new Uint8Array(blob.sizeBytes)), content);
  });

  test('are refused on asynchronous devices', async () => {
    const { blob } = await filled(asyncDevice(memory()));
    for (const call of [
      () => blob.readSync(0, 1),
      () => blob.readvSync(0, [new Uint8Array(1)]),
      () => blob.writeSync(new Uint8Array(512), 0),
      () => blob.writevSync([], 0),
      () => blob.writeZeroesSync(0, 1),
      () => blob.trimSync(0, 1),
    ]) {
      await expectCode(call, 'ENOTSUP', /promise form/);
    }
  });
});

describe('refused are', () => {
  test('offsets and lengths that are no range of bytes of the blob', async () => {
    const { blob } = await filled(memory());
    const wrong = [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '0', 0n, null, {}, blob.sizeBytes + 1];
    for (const value of wrong as number[]) {
      await expectCode(blob.read(value, 0), 'EINVAL');
      await expectCode(blob.write(new Uint8Array(0), value), 'EINVAL');
      await expectCode(blob.writeZeroes(value, 0), 'EINVAL');
      await expectCode(blob.writeZeroes(0, value), 'EINVAL');
      await expectCode(blob.trim(value, 0), 'EINVAL');
      await expectCode(blob.read(0, value), 'EINVAL');
      await expectCode(() => blob.readSync(0, value), 'EINVAL');
      await expectCode(() => blob.writeSync(new Uint8Array(0), value), 'EINVAL');
      await expectCode(() => blob.nextData(value), 'EINVAL');
      if (value !== blob.sizeBytes + 1) await expectCode(blob.resize(value), 'EINVAL');
    }
    await expectCode(blob.read(undefined as never, undefined as never), 'EINVAL');
    await expectCode(blob.read(blob.sizeBytes - 10, 11), 'EINVAL', /resize it/);
    await expectCode(blob.resize(2 ** 52), 'EINVAL', /at most/);
    await expectCode(blob.resize(2 ** 40), 'ENOSPC');
  });

  test('data that is no memory, or whose memory was transferred', async () => {
    const { blob } = await filled(memory());
    const gone = new Uint8Array(10);
    structuredClone(gone.buffer, { transfer: [gone.buffer] });
    for (const value of [[1, 2], null, undefined, gone, new Map()]) {
      await expectCode(blob.write(value as never, 0), 'EINVAL');
      await expectCode(blob.writev([value as never], 0), 'EINVAL');
      await expectCode(blob.readv(0, [value as never]), 'EINVAL');
      await expectCode(blob.read(0, value as never), 'EINVAL');
      await expectCode(() => blob.writeSync(value as never, 0), 'EINVAL');
    }
    await expectCode(blob.write(gone, 0), 'EINVAL', /transferred/);
    await expectCode(blob.writev(new Uint8Array(1) as never, 0), 'EINVAL');
  });

  test('reads of more bytes than any array can hold; such a blob is read in parts', async () => {
    const store = await testStore(memory(4 * MiB), { mdPageCount: 64 });
    const blob = await store.create({ sizeBytes: 2 ** 43, thin: true }).catch((error) => error as Error);
    if (blob instanceof Error) return expect(blob).toMatchObject({ code: 'ENOMEM' });
    await expectCode(blob.read(0, 2 ** 43), 'ENOMEM', /in parts/);
    await blob.write(bytes(10), 2 ** 42 + 1);
    expectSame(await blob.read(2 ** 42 + 1, 10), bytes(10));
    expect(blob.nextData(0)).toBe(2 ** 42);
    return blob.close();
  });
});

test('a write rejects when the device fails, and the other bytes of its io units stay', async () => {
  const device = new FaultyDevice(onlyBlocks(memory()));
  const { blob, content } = await filled(device);
  device.failAt(1, { kind: 'write' });
  await expectCode(blob.write(bytes(10), 3), 'EIO');
  device.failAt(1, { kind: 'read' });
  await expectCode(blob.write(bytes(10), 3), 'EIO');
  device.failAt(1, { kind: 'read' });
  await expectCode(blob.read(0, 10), 'EIO');
  expectSame(await blob.read(0, blob.sizeBytes), content);
});

test('a write to a thin blob rejects with ENOSPC when the store is full', async () => {
  const store = await testStore(memory(1 * MiB));
  const blob = await store.create({ sizeBytes: 2 * MiB, thin: true });
  await expectCode(blob.write(bytes(1100 * KiB), 1), 'ENOSPC');
  await blob.trim(0, blob.sizeBytes);
  expect((await blob.info()).allocatedBytes).toBe(0);
});

test('a negative offset is EINVAL in every form of a call, and no blob changes', async () => {
  const store = await testStore(memory());
  const blobs = await Promise.all([1, 2, 3].map(() => store.create({ sizeBytes: 4 * CLUSTER })));
  for (const [at, blob] of blobs.entries()) await blob.write(new Uint8Array(4 * CLUSTER).fill(at + 1), 0);
  const [, blob] = blobs;
  for (const offset of [-1, -4096, -CLUSTER, -512 * CLUSTER]) {
    const page = new Uint8Array(4096).fill(9);
    await expectCode(blob.write(page, offset), 'EINVAL');
    await expectCode(blob.read(offset, page), 'EINVAL');
    expect(() => blob.writeSync(page, offset)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    expect(() => blob.readSync(offset, page)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
  }
  for (const [at, each] of blobs.entries()) {
    expect((await each.read(0, 4 * CLUSTER)).every((byte) => byte === at + 1)).toBe(true);
  }
});
