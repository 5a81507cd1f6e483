/**
 * The ring client: back-pressure, memory of all kinds, errors, the buffer pool, and the hooks that keep a thread alive.
 */

import { BlobstoreError, InvariantError } from '@blobyard/core';
import { expect, test } from 'vitest';
import { ANY_BLOB, failureOf, open, RingBench, reached, sharedBytes, storeBench } from './ring-bench.js';
import { FAILING, GATE, LONG_MESSAGE, PLAIN_UNIT_BYTES } from './ring-gates.js';

const UNIT = PLAIN_UNIT_BYTES;

test.each(['now', 'promises', 'mixed'] as const)(
  '10,000 requests at once on a ring of 8 are each answered once, %s',
  async (answers) => {
    const bench = new RingBench({ entries: 8 });
    const { gates } = bench.add({ answers });
    const requests = 10_000;
    const into = sharedBytes(requests * UNIT);
    const units = bench.medium.length / UNIT;
    for (let unit = 0; unit < units; unit++) bench.medium.fill(1 + (unit % 255), unit * UNIT, (unit + 1) * UNIT);
    const order: number[] = [];
    const all = Array.from({ length: requests }, async (_, index) => {
      await bench.client.read(ANY_BLOB, into, index % units, 1, index * UNIT);
      order.push(index);
    });
    expect(bench.client.inFlight).toBe(requests);
    expect(bench.client.waiting).toBe(requests - 8);
    await Promise.all(all);
    expect(new Set(order).size).toBe(requests);
    if (answers === 'now') expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(gates[GATE.BEGUN]).toBe(requests);
    expect(gates[GATE.MOST]).toBeLessThanOrEqual(8);
    const isRight = Array.from({ length: requests }, (_, index) => into[index * UNIT] === 1 + ((index % units) % 255));
    expect(isRight).not.toContain(false);
    expect([bench.client.inFlight, bench.client.waiting]).toEqual([0, 0]);
  },
);

test('a server has no more requests in promise form under way than its channel allows', async () => {
  const bench = new RingBench();
  const { gates } = bench.add({ answers: 'promises', promisesMax: 3 });
  Atomics.store(gates, GATE.HOLD_PROMISES, 1);
  const buffer = sharedBytes(UNIT * 100);
  const all = Array.from({ length: 100 }, (_, index) => bench.client.read(ANY_BLOB, buffer, index, 1, index * UNIT));
  await reached(gates, GATE.UNDER_WAY, 3);
  open(gates, GATE.HOLD_PROMISES);
  await Promise.all(all);
  expect([gates[GATE.BEGUN], gates[GATE.MOST]]).toEqual([100, 3]);
});

test('errors keep their code and message', async () => {
  const bench = new RingBench();
  bench.add({ answers: 'mixed' });
  for (const buffer of [sharedBytes(UNIT), new Uint8Array(UNIT)]) {
    const read = (unit: number) => failureOf(bench.client.read(ANY_BLOB, buffer, unit, 1));
    const broken = (await read(FAILING.EIO)) as BlobstoreError;
    expect(broken).toBeInstanceOf(BlobstoreError);
    expect([broken.code, broken.message]).toEqual(['EIO', 'the medium is broken: replace it']);
    const long = (await read(FAILING.LONG)) as BlobstoreError;
    expect(long.code).toBe('ENOSPC');
    expect(long.message.length).toBeGreaterThan(400);
    expect(LONG_MESSAGE.startsWith(long.message)).toBe(true);
    const bug = (await read(FAILING.BUG)) as InvariantError;
    expect(bug).toBeInstanceOf(InvariantError);
    expect(bug.message).toBe('blobyard bug: two and two are five');
    const foreign = (await read(FAILING.FOREIGN)) as BlobstoreError;
    expect(foreign.code).toBe('EIO');
    expect(foreign.message).toContain('not a function');
  }
});

test('each of many failures has its own error', async () => {
  const bench = new RingBench({ entries: 4 });
  bench.add();
  const buffer = sharedBytes(UNIT);
  const places = [FAILING.EIO, 0, FAILING.LONG, 1, FAILING.BUG];
  const results = await Promise.allSettled(
    Array.from({ length: 500 }, (_, index) => bench.client.read(ANY_BLOB, buffer, places[index % places.length], 1)),
  );
  const codes = results.map((result) => (result.status === 'fulfilled' ? 'done' : (result.reason.code ?? 'bug')));
  expect(codes).toEqual(Array.from({ length: 500 }, (_, index) => ['EIO', 'done', 'ENOSPC', 'done', 'bug'][index % 5]));
});

test.each([
  ['a negative offset', -1, 1, 0],
  ['half an offset', 0.5, 1, 0],
  ['a count that is none', 0, Number.NaN, 0],
  ['a count past the buffer', 0, 5, 0],
  ['a place past the buffer', 0, 4, 1],
  ['a place before the buffer', 0, 1, -1],
  ['half a byte', 0, 1, 0.5],
])('%s is EINVAL, and no worker gets the request', async (_, offset, count, bufferOffset) => {
  const bench = new RingBench();
  const { gates } = bench.add();
  for (const buffer of [sharedBytes(4 * UNIT), new Uint8Array(4 * UNIT)]) {
    for (const request of [
      bench.client.read(ANY_BLOB, buffer, offset, count, bufferOffset),
      bench.client.write(ANY_BLOB, buffer, offset, count, bufferOffset),
    ]) {
      expect(await failureOf(request)).toMatchObject({ code: 'EINVAL' });
    }
  }
  expect(await failureOf(bench.client.readv(ANY_BLOB, [new Uint8Array(UNIT)], 0, 2))).toMatchObject({ code: 'EINVAL' });
  expect(gates[GATE.BEGUN]).toBe(0);
});

test('a read whose buffer was transferred meanwhile is EINVAL, and its piece of the pool is free again', async () => {
  const bench = new RingBench({ poolBytes: 16_384 });
  bench.add();
  for (let round = 0; round < 20; round++) {
    const buffer = new Uint8Array(4096);
    const read = bench.client.read(ANY_BLOB, buffer, 0, 64);
    structuredClone(buffer, { transfer: [buffer.buffer] });
    expect(await failureOf(read)).toMatchObject({ code: 'EINVAL' });
  }
  await bench.client.read(ANY_BLOB, new Uint8Array(4096), 0, 64);
});

test('a write whose buffer was transferred before its data was copied is EINVAL', async () => {
  const bench = new RingBench({ poolBytes: 16_384, entries: 1 });
  const { gates } = bench.add({ answers: 'promises' });
  Atomics.store(gates, GATE.HOLD_PROMISES, 1);
  const first = bench.client.write(ANY_BLOB, new Uint8Array(UNIT), 0, 1);
  const buffer = new Uint8Array(UNIT);
  const second = bench.client.write(ANY_BLOB, buffer, 1, 1);
  const third = bench.client.write(ANY_BLOB, new Uint8Array(UNIT).fill(3), 2, 1);
  structuredClone(buffer, { transfer: [buffer.buffer] });
  open(gates, GATE.HOLD_PROMISES);
  await first;
  expect(await failureOf(second)).toMatchObject({ code: 'EINVAL' });
  await third;
  expect(bench.medium[2 * UNIT]).toBe(3);
  expect(bench.client.inFlight).toBe(0);
});

test('a large request waits for its turn in the pool, and later small ones do not overtake it', async () => {
  const bench = new RingBench({ poolBytes: 16 * 4096 });
  const { gates } = bench.add({ answers: 'promises' });
  Atomics.store(gates, GATE.HOLD_PROMISES, 1);
  const order: string[] = [];
  const read = async (name: string, units: number) => {
    await bench.client.read(ANY_BLOB, new Uint8Array(units * UNIT), 0, units);
    order.push(name);
  };
  // Each quarter of the pool has a taken page; the large request needs a whole quarter.
  const first = Array.from({ length: 13 }, () => read('first', 1));
  const all = [...first, read('large', 256), read('small', 1), read('large', 256)];
  expect(bench.client.waiting).toBe(3);
  await reached(gates, GATE.BEGUN, 13);
  open(gates, GATE.HOLD_PROMISES);
  await Promise.all(all);
  expect(order.length).toBe(16);
  expect(gates[GATE.BEGUN]).toBe(16);
});

test('requests larger than the pool are executed in pieces, and the first piece that fails ends the request', async () => {
  const bench = new RingBench({ poolBytes: 16_384 });
  bench.add();
  const bytes = 100_032;
  const content = new Uint8Array(bytes).map((_, index) => index % 251);
  await bench.client.write(ANY_BLOB, content, 3, bytes / UNIT);
  expect(Buffer.compare(bench.medium.subarray(3 * UNIT, 3 * UNIT + bytes), content)).toBe(0);
  const back = new Uint8Array(bytes + 5);
  await bench.client.read(ANY_BLOB, back, 3, bytes / UNIT, 5);
  expect(Buffer.compare(back.subarray(5), content)).toBe(0);
  const parts = [new Uint8Array(40_001), new Uint8Array(0), new Uint8Array(60_031)];
  await bench.client.readv(ANY_BLOB, parts, 3, bytes / UNIT);
  expect(Buffer.compare(Buffer.concat(parts), content)).toBe(0);
  back.fill(0);
  const read = bench.client.read(ANY_BLOB, back, 3, bytes / UNIT);
  await bench.client.drained();
  expect(Buffer.compare(back.subarray(0, bytes), content)).toBe(0);
  await read;
  const start = FAILING.EIO - 512; // a piece has 32 units
  const failing = bench.client.read(ANY_BLOB, new Uint8Array(bytes), start, bytes / UNIT);
  expect(await failureOf(failing)).toMatchObject({ code: 'EIO' });
  expect(bench.client.inFlight).toBe(0);
});

test('a pool smaller than an io unit, and a ring whose size is no power of two, are EINVAL', () => {
  expect(() => new RingBench({ poolBytes: 16_384, ioUnitBytes: 8192 })).toThrow(BlobstoreError);
  expect(() => new RingBench({ entries: 12 }).client.createRing()).toThrow(BlobstoreError);
});

test.each([false, true])('requests work with a store in memory, asynchronous: %s', async (asynchronous) => {
  const { client, device, blob } = await storeBench({ asynchronous });
  const unit = device.blockLengthBytes;
  const kinds: [string, (bytes: number) => Uint8Array][] = [
    ['of the device', (bytes) => device.allocateBuffer(bytes)],
    ['shared', (bytes) => sharedBytes(bytes)],
    ['plain', (bytes) => new Uint8Array(bytes)],
  ];
  for (const [kind, make] of kinds) {
    const written = make(unit * 40).fill(kind.length);
    await client.write(blob, written, 10, 39, unit);
    const read = make(unit * 41);
    await client.read(blob, read, 9, 41);
    expect([read[unit - 1], read[unit], read[40 * unit - 1], read[40 * unit]]).toEqual([
      0,
      kind.length,
      kind.length,
      0,
    ]);
    const parts = [make(unit), make(unit * 3)];
    await client.readv(blob, parts, 9, 4);
    expect([parts[0][0], parts[1][0]]).toEqual([0, kind.length]);
    await client.writev(blob, [parts[1], parts[0]], 10, 4);
    await client.read(blob, read, 10, 5);
    expect([read[0], read[3 * unit - 1], read[3 * unit], read[4 * unit]]).toEqual([
      kind.length,
      kind.length,
      0,
      kind.length,
    ]);
    await client.writeZeroes(blob, 0, 60);
    await client.unmap(blob, 0, 60);
    await client.read(blob, read, 9, 41);
    expect(read.every((byte) => byte === 0)).toBe(true);
  }
  const past = client.read(blob, sharedBytes(unit), 64 * 16, 1);
  expect(await failureOf(past)).toMatchObject({ code: 'EINVAL' });
  const closed = client.read({ slot: blob.slot, generation: blob.generation + 1 }, sharedBytes(unit), 0, 1);
  expect(await failureOf(closed)).toMatchObject({ code: 'EBADF' });
});

test('the hooks tell the owner when requests are under way, and when none is', async () => {
  const heard: string[] = [];
  let resolve: () => void;
  const idle = new Promise<void>((done) => {
    resolve = done;
  });
  const bench = new RingBench({
    onBusy: () => heard.push('busy'),
    onIdle: () => {
      heard.push('idle');
      resolve();
    },
  });
  const { gates } = bench.add({ answers: 'now' });
  await reached(gates, GATE.READY, 1);
  Atomics.store(gates, GATE.HOLD, 1);
  const buffer = sharedBytes(UNIT);
  const both = [bench.client.read(ANY_BLOB, buffer, 0, 1), bench.client.read(ANY_BLOB, buffer, 0, 1)];
  expect(heard).toEqual(['busy']);
  await reached(gates, GATE.BEGUN, 1);
  open(gates, GATE.HOLD);
  await Promise.all(both);
  expect(bench.client.inFlight).toBe(0);
  await idle;
  expect(heard).toEqual(['busy', 'idle']);
  // Two requests in a row may be one busy time or two, but both hooks are called for each busy time.
  const before = heard.length;
  for (let request = 0; request < 20; request++) {
    await bench.client.read(ANY_BLOB, buffer, 0, 1);
    expect(heard.length).toBeGreaterThan(before);
  }
  expect(heard).toEqual(heard.map((_, index) => (index % 2 === 0 ? 'busy' : 'idle')));
});
