/** Buffers that are transferred to another thread, or made smaller, while an operation uses them. */

import { type Blob, MemoryDevice, type Store } from 'blobyard';
import { FaultyDevice, type Gate } from 'blobyard/devices';
import { describe, expect, onTestFinished, test } from 'vitest';
import { bytes, CLUSTER, createStore, expectSame, isPooled, MiB, memory, testStore } from '../api/support.js';
import { detach, resizable } from './odd-values.js';

const LENGTH = 2 * CLUSTER;
const UNIT = 512;

/** A buffer, and the function that transfers or shrinks it. */
interface Victim {
  readonly array: Uint8Array;
  readonly strike: () => void;
}

const VICTIMS: Record<string, (length: number) => Victim> = {
  transferred(length) {
    const array = new Uint8Array(length).fill(0xee);
    return { array, strike: () => detach(array) };
  },
  'made smaller'(length) {
    const { array, shrink } = resizable(length);
    return { array, strike: () => shrink(length / 4) };
  },
  'made smaller, followed by its array'(length) {
    const buffer = new ArrayBuffer(length, { maxByteLength: length });
    return { array: new Uint8Array(buffer).fill(0xee), strike: () => buffer.resize(length / 4) };
  },
  'made empty, followed by its array'(length) {
    const buffer = new ArrayBuffer(length, { maxByteLength: length });
    return { array: new Uint8Array(buffer).fill(0xee), strike: () => buffer.resize(0) };
  },
};

type Operation = (blob: Blob, array: Uint8Array) => Promise<unknown>;

const OPERATIONS: Record<string, Operation> = {
  read: (blob, array) => blob.read(0, array),
  'read, unaligned': (blob, array) => blob.read(100, array),
  readv: (blob, array) => blob.readv(UNIT, [new Uint8Array(UNIT), array, new Uint8Array(UNIT)]),
  'readv, unaligned': (blob, array) => blob.readv(7, [new Uint8Array(100), array, new Uint8Array(UNIT)]),
  write: (blob, array) => blob.write(array, 0),
  'write, unaligned': (blob, array) => blob.write(array, 100),
  writev: (blob, array) => blob.writev([new Uint8Array(UNIT).fill(0xee), array], UNIT),
  'writev, unaligned': (blob, array) => blob.writev([new Uint8Array(100).fill(0xee), array], 9),
};

/** Waits for an operation. It must succeed (`done`) or fail with EINVAL (`refused`). */
async function outcome(work: Promise<unknown>): Promise<'done' | 'refused'> {
  try {
    await work;
    return 'done';
  } catch (error) {
    expect(error).toMatchObject({ name: 'BlobstoreError', code: 'EINVAL' });
    return 'refused';
  }
}

/**
 * Makes the blob of the operations, whose bytes are 7, and another one with bytes 9, which must never be seen
 * elsewhere.
 */
async function twoBlobs(store: Store): Promise<{ blob: Blob; other: Blob }> {
  const blob = await store.create({ sizeBytes: 4 * CLUSTER, thin: true });
  const other = await store.create({ sizeBytes: 4 * CLUSTER });
  await blob.write(new Uint8Array(3 * CLUSTER).fill(7), 0);
  await other.write(bytes(4 * CLUSTER, 9), 0);
  return { blob, other };
}

/** Expects only old and new bytes in the blob, or zeroes where a write was cut off, and the other blob unchanged. */
async function expectHarmless(blob: Blob, other: Blob): Promise<void> {
  expectSame(await other.read(0, 4 * CLUSTER), bytes(4 * CLUSTER, 9), 'the other blob');
  const found = new Set(await blob.read(0, 4 * CLUSTER));
  for (const byte of found) expect([0, 7, 0xee]).toContain(byte);
}

describe.skipIf(isPooled)('on an asynchronous device', () => {
  for (const [how, make] of Object.entries(VICTIMS)) {
    test.each(Object.entries(OPERATIONS))(`%s does no harm with a buffer that is ${how}`, async (name, operation) => {
      const device = new FaultyDevice(memory(), { asynchronous: true });
      const store = await testStore(device);
      const { blob, other } = await twoBlobs(store);
      // The buffer changes before the first, second, third or fourth operation of the device.
      for (let at = 1; at <= 4; at++) {
        const { array, strike } = make(LENGTH);
        const gate: Gate = device.gate(undefined, at);
        const work = outcome(operation(blob, array));
        const isHeld = await Promise.race([gate.reached.then(() => true), work.then(() => false)]);
        strike();
        gate.release();
        device.clearFaults();
        if (isHeld && name.startsWith('read')) expect(await work).toBe('refused');
        await work;
        await expectHarmless(blob, other);
      }
      store.engine.blobstore.verify();
    });
  }
});

describe.skipIf(!isPooled)('with threads', () => {
  for (const [how, make] of Object.entries(VICTIMS)) {
    test(`operations with buffers that are ${how} do no harm, few or many at once`, async () => {
      const device = MemoryDevice.create({ sizeBytes: 4 * MiB, blockLengthBytes: UNIT, arenaBytes: 64 * 1024 });
      const store = await createStore({ device, clusterSizeBytes: CLUSTER });
      onTestFinished(() => store.close());
      const { blob, other } = await twoBlobs(store);
      for (const count of [1, 8, 600]) {
        const works: Promise<unknown>[] = [];
        const strikes: (() => void)[] = [];
        for (let at = 0; at < count; at++) {
          const { array, strike } = make(LENGTH);
          const operations = Object.values(OPERATIONS);
          works.push(outcome(operations[at % operations.length](blob, array)));
          strikes.push(strike);
        }
        for (const strike of strikes) strike();
        await Promise.all(works);
        await expectHarmless(blob, other);
      }
    });
  }

  test('shared memory from allocate() can be released while an operation uses it', async () => {
    const store = await testStore();
    const { blob, other } = await twoBlobs(store);
    const array = store.allocate(LENGTH);
    array.fill(0xee);
    const works = [outcome(blob.write(array, 0)), outcome(blob.read(0, array)), outcome(blob.write(array, CLUSTER))];
    store.release(array);
    await Promise.all(works);
    await expectHarmless(blob, other);
  });
});
