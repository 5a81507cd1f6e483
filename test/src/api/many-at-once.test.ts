/** Thousands of requests that are started at once: each is done, and overlapping ones take effect in their order. */

import { SparseMemoryDevice } from 'blobyard';
import { expect, test } from 'vitest';
import { CountingDevice } from './counting-device.js';
import { CLUSTER, expectCode, isAttached, isPooled, KiB, MiB, memory, testStore } from './support.js';

const COUNT = 6000;
const BLOCK = 4 * KiB;
const BLOCKS = 1024;

function filled(value: number, length = BLOCK): Uint8Array {
  return new Uint8Array(length).fill(value);
}

test('reads find what the last of the writes before them has written', async () => {
  const store = await testStore(memory(32 * MiB, 4 * KiB));
  // Where other threads execute the writes, any of those that overlap may be the last one: so there none overlap.
  const blocks = isPooled ? COUNT : BLOCKS;
  const blob = await store.create({ sizeBytes: blocks * BLOCK });
  const valueAt = (at: number) => 1 + (at % 251);
  await Promise.all(Array.from({ length: COUNT }, (_, at) => blob.write(filled(valueAt(at)), (at % blocks) * BLOCK)));
  const reads = await Promise.all(
    Array.from({ length: COUNT }, (_, at) => blob.read((at % blocks) * BLOCK, filled(0))),
  );
  const lastOf = (block: number) => block + blocks * Math.floor((COUNT - 1 - block) / blocks);
  reads.forEach((read, at) => {
    const expected = valueAt(lastOf(at % blocks));
    expect(read[0] === expected && read[BLOCK - 1] === expected, `read ${at}`).toBe(true);
  });
  await blob.close();
});

// Where two I/O workers write, either of two writes at once may win.
test.skipIf(isPooled && !isAttached)(
  'a write to a part of a block is done after an earlier write of the block that still waits',
  async () => {
    const store = await testStore(memory(16 * MiB, 4 * KiB));
    const blob = await store.create({ sizeBytes: BLOCKS * BLOCK });
    const writes = [];
    for (let at = 0; at < COUNT; at++) writes.push(blob.write(filled(1), (at % BLOCKS) * BLOCK));
    for (let block = 0; block < BLOCKS; block++) writes.push(blob.write(filled(2, 10), block * BLOCK + 100));
    await Promise.all(writes);
    const expected = filled(1);
    expected.fill(2, 100, 110);
    for (let block = 0; block < BLOCKS; block += 50) expect(await blob.read(block * BLOCK, BLOCK)).toEqual(expected);
    await blob.close();
  },
);

test('closing waits for the requests that wait, and later ones are refused', async () => {
  const store = await testStore(memory(16 * MiB, 4 * KiB));
  const blob = await store.create({ sizeBytes: BLOCKS * BLOCK });
  const other = await store.open(blob.id);
  let done = 0;
  const writes = Array.from({ length: COUNT }, (_, at) =>
    blob.write(filled(3), (at % BLOCKS) * BLOCK).then(() => {
      done++;
    }),
  );
  const closing = blob.close();
  await expectCode(() => blob.write(filled(4), 0), 'EBADF');
  await closing;
  expect(done).toBe(COUNT);
  await Promise.all(writes);
  expect(await other.read(0, BLOCK)).toEqual(filled(3));
  await other.close();
});

test.skipIf(isPooled)('a synchronous write is done after the writes that wait', async () => {
  const store = await testStore(memory(16 * MiB, 4 * KiB));
  const blob = await store.create({ sizeBytes: BLOCKS * BLOCK });
  const writes = Array.from({ length: COUNT }, () => blob.write(filled(5), 0));
  blob.writeSync(filled(6), 0);
  expect(blob.readSync(0, BLOCK)).toEqual(filled(6));
  await Promise.all(writes);
  expect(await blob.read(0, BLOCK)).toEqual(filled(6));
  await blob.close();
});

test('every request that waits rejects with the error of the device', async () => {
  const device = new CountingDevice(new SparseMemoryDevice({ sizeBytes: 16 * MiB, blockLengthBytes: 4 * KiB }));
  const store = await testStore(device);
  const blob = await store.create({ sizeBytes: 64 * CLUSTER });
  device.failsWrites = true;
  const writes = await Promise.allSettled(
    Array.from({ length: COUNT }, (_, at) => blob.write(filled(7), (at % 64) * BLOCK)),
  );
  for (const each of writes) expect(each).toMatchObject({ status: 'rejected', reason: { code: 'EIO' } });
  await expectCode(() => blob.write(filled(7), 64 * CLUSTER), 'EINVAL');
  device.failsWrites = false;
  await blob.write(filled(8), 0);
  expect(await blob.read(0, BLOCK)).toEqual(filled(8));
  await blob.close();
});
