/** Workers of a ring client that are added, removed, die and are replaced; and the end of the client itself. */

import { BlobstoreError } from '@blobyard/core';
import { expect, test } from 'vitest';
import { ANY_BLOB, failureOf, open, RingBench, reached, sharedBytes } from './ring-bench.js';
import { GATE, PLAIN_UNIT_BYTES } from './ring-gates.js';

const UNIT = PLAIN_UNIT_BYTES;
const DEAD = new BlobstoreError('EIO', 'the worker died');

/** The outcome of a request: `done`, or the message of its error. */
async function outcome(request: Promise<void>): Promise<string> {
  try {
    await request;
    return 'done';
  } catch (error) {
    return (error as Error).message;
  }
}

test('requests wait until there is a worker', async () => {
  const bench = new RingBench();
  const buffer = sharedBytes(UNIT);
  const read = bench.client.read(ANY_BLOB, buffer, 0, 1);
  const copied = bench.client.read(ANY_BLOB, new Uint8Array(UNIT), 0, 1);
  expect(bench.client.waiting).toBe(2);
  bench.add();
  await Promise.all([read, copied]);
  await bench.client.drained();
});

test('requests of a dead worker fail, and waiting ones go to the next worker', async () => {
  const bench = new RingBench({ entries: 4 });
  const { thread, lane, gates, exited } = bench.add({ answers: 'now' });
  const buffer = sharedBytes(UNIT);
  await bench.client.read(ANY_BLOB, buffer, 0, 1);
  Atomics.store(gates, GATE.HOLD, 1);
  const outcomes = Array.from({ length: 10 }, (_, index) =>
    outcome(bench.client.read(ANY_BLOB, index % 2 === 0 ? buffer : new Uint8Array(UNIT), 0, 1)),
  );
  await reached(gates, GATE.BEGUN, 2);
  await thread.terminate();
  await exited;
  bench.client.failWorker(lane, DEAD);
  expect(await Promise.all(outcomes.slice(0, 4))).toEqual(new Array(4).fill(DEAD.message));
  expect(bench.client.waiting).toBe(6);
  const next = bench.start();
  bench.client.addWorker(next.ring, next.port);
  expect(await Promise.all(outcomes.slice(4))).toEqual(new Array(6).fill('done'));
});

test('the replacement of a worker knows the memories of its predecessor', async () => {
  const bench = new RingBench({ entries: 4 });
  let worker = bench.add();
  const buffers = Array.from({ length: 20 }, () => sharedBytes(UNIT));
  bench.medium.fill(9);
  for (let life = 0; life < 5; life++) {
    const reads = buffers.map((buffer) => outcome(bench.client.read(ANY_BLOB, buffer, 0, 1)));
    if (life % 2 === 0) await reads[0];
    await worker.thread.terminate();
    await worker.exited;
    bench.client.failWorker(worker.lane, DEAD);
    worker = bench.add();
    for (const each of await Promise.all(reads)) expect(['done', DEAD.message]).toContain(each);
    expect(bench.client.inFlight).toBe(0);
    for (const buffer of buffers) {
      buffer.fill(0);
      await bench.client.read(ANY_BLOB, buffer, 0, 1);
      expect(buffer[0]).toBe(9);
    }
  }
});

test('answers that a worker gave before its death count', async () => {
  const bench = new RingBench();
  const { thread, lane, gates, exited } = bench.add({ answers: 'now' });
  const buffer = sharedBytes(UNIT);
  const before = outcome(bench.client.read(ANY_BLOB, buffer, 0, 1));
  while (Atomics.load(gates, GATE.BEGUN) < 1 || lane.answered < 1);
  await Promise.all([thread.terminate(), exited]);
  bench.client.failWorker(lane, DEAD);
  bench.client.failWorker(lane, DEAD);
  expect(await before).toBe('done');
});

test('others go on when one of several workers dies', async () => {
  const bench = new RingBench({ entries: 8 });
  const workers = [bench.add(), bench.add(), bench.add()];
  const buffer = sharedBytes(UNIT);
  const outcomes = Array.from({ length: 2000 }, () => outcome(bench.client.read(ANY_BLOB, buffer, 0, 1)));
  await reached(workers[0].gates, GATE.BEGUN, 1);
  await workers[0].thread.terminate();
  await workers[0].exited;
  bench.client.failWorker(workers[0].lane, DEAD);
  const all = await Promise.all(outcomes);
  expect(all.filter((each) => each !== 'done').length).toBeLessThanOrEqual(8);
  expect(bench.client.inFlight).toBe(0);
});

test('a worker that is removed answers what it has, and its thread ends', async () => {
  const bench = new RingBench();
  const { lane, gates, exited } = bench.add({ answers: 'promises' });
  Atomics.store(gates, GATE.HOLD_PROMISES, 1);
  const buffer = sharedBytes(UNIT);
  const reads = Array.from({ length: 100 }, () => bench.client.read(ANY_BLOB, buffer, 0, 1));
  await reached(gates, GATE.BEGUN, 1);
  const removed = bench.client.removeWorker(lane);
  const later = bench.client.read(ANY_BLOB, buffer, 0, 1);
  expect(bench.client.waiting).toBe(1);
  open(gates, GATE.HOLD_PROMISES);
  await Promise.all([...reads, removed, exited]);
  expect(bench.client.inFlight).toBe(1);
  bench.add();
  await later;
});

test('after requests were refused for lack of a worker, later ones succeed when there is one', async () => {
  const bench = new RingBench();
  const none = new BlobstoreError('EIO', 'there is no worker');
  const buffer = sharedBytes(UNIT);
  const waiting = outcome(bench.client.read(ANY_BLOB, buffer, 0, 1));
  bench.client.refuse(none);
  expect(await waiting).toBe(none.message);
  expect(await failureOf(bench.client.write(ANY_BLOB, buffer, 0, 1))).toBe(none);
  expect([bench.client.inFlight, bench.client.waiting]).toEqual([0, 0]);
  bench.add();
  expect(await outcome(bench.client.read(ANY_BLOB, buffer, 0, 1))).toBe('done');
  bench.client.refuse(none);
  bench.client.close(DEAD);
  bench.client.refuse(none);
  bench.add();
  expect(await failureOf(bench.client.read(ANY_BLOB, buffer, 0, 1))).toBe(DEAD);
});

test('a server ends when its client has ended', async () => {
  const bench = new RingBench();
  const { lane, gates, exited } = bench.add();
  await reached(gates, GATE.READY, 1);
  lane.port.close();
  await exited;
});

test('closing under load rejects waiting and later requests, and answers those under way', async () => {
  const bench = new RingBench({ entries: 16 });
  const { gates } = bench.add({ answers: 'promises' });
  Atomics.store(gates, GATE.HOLD_PROMISES, 1);
  const closed = new BlobstoreError('EBADF', 'the store is closed');
  const buffer = sharedBytes(UNIT);
  const outcomes = Array.from({ length: 100 }, () => outcome(bench.client.read(ANY_BLOB, buffer, 0, 1)));
  await reached(gates, GATE.UNDER_WAY, 16);
  bench.client.close(closed);
  bench.client.close(DEAD);
  expect([bench.client.inFlight, bench.client.waiting]).toEqual([16, 0]);
  expect(await failureOf(bench.client.write(ANY_BLOB, buffer, 0, 1))).toBe(closed);
  expect(await failureOf(bench.client.readv(ANY_BLOB, [buffer], 0, 1))).toBe(closed);
  expect(await failureOf(bench.client.unmap(ANY_BLOB, 0, 1))).toBe(closed);
  const drained = bench.client.drained();
  open(gates, GATE.HOLD_PROMISES);
  await drained;
  const wanted = Array.from({ length: 100 }, (_, index) => (index < 16 ? 'done' : closed.message));
  expect(await Promise.all(outcomes)).toEqual(wanted);
});
