/** How workers get to know the memories of callers, and forget them. */

import { EventEmitter, once } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import { InvariantError } from '@blobyard/core';
import { expect, test } from 'vitest';
import { DEVICE_MEMORY, NO_MEMORY } from '../../../packages/workers/dist/io-pool/rings/memory-id.js';
import { MemoryTable } from '../../../packages/workers/dist/io-pool/rings/memory-table.js';
import { CLIENT } from '../../../packages/workers/dist/io-pool/rings/ring-layout.js';
import { SharedBuffers, tell } from '../../../packages/workers/dist/io-pool/rings/shared-buffers.js';
import { ANY_BLOB, failureOf, RingBench, reached, sharedBytes } from './ring-bench.js';
import { GATE, PLAIN_UNIT_BYTES } from './ring-gates.js';

const UNIT = PLAIN_UNIT_BYTES;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function pair(deviceMemory?: SharedArrayBuffer) {
  const { port1, port2 } = new MessageChannel();
  const client = new SharedBuffers(deviceMemory);
  client.addPort(port1);
  return { client, port1, port2, table: new MemoryTable(port2, deviceMemory, () => undefined) };
}

test('a worker knows a memory when a request names it', () => {
  const { client, table } = pair();
  const memories = Array.from({ length: 10 }, (_, index) => sharedBytes(8).fill(index));
  const ids = memories.map(({ buffer }) => client.idOf(buffer));
  expect(new Set(ids).size).toBe(10);
  expect(memories.map(({ buffer }) => client.idOf(buffer))).toEqual(ids);
  // Asking for the last one first also takes all messages before it.
  expect(ids.toReversed().map((id) => table.view(id, 8)[0])).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
  expect(table.view(ids[3], 8)).toBe(table.view(ids[3], 1));
  expect(() => table.view(77, 8)).toThrow(InvariantError);
  expect(() => table.view(ids[0], 9)).toThrow(InvariantError);
});

test('memory that is not shared has no id, and that of the device has an id of its own', () => {
  const deviceMemory = new SharedArrayBuffer(8);
  const { client, table, port2 } = pair(deviceMemory);
  expect(client.idOf(new ArrayBuffer(8))).toBe(NO_MEMORY);
  expect(client.idOf(deviceMemory)).toBe(DEVICE_MEMORY);
  expect(table.view(DEVICE_MEMORY, 8).buffer).toBe(deviceMemory);
  expect(receiveMessageOnPort(port2)).toBeUndefined();
});

test('a memory that has grown is seen to its end', () => {
  const { client, table } = pair();
  const memory = new SharedArrayBuffer(8, { maxByteLength: 64 });
  const id = client.idOf(memory);
  expect(table.view(id, 8).length).toBe(8);
  memory.grow(64);
  new Uint8Array(memory)[63] = 5;
  expect(table.view(id, 64)[63]).toBe(5);
});

test('a worker that is added later gets to know all memories', () => {
  const { client } = pair();
  const memory = sharedBytes(8).fill(3);
  const id = client.idOf(memory.buffer);
  const { port1, port2 } = new MessageChannel();
  client.addPort(port1);
  expect(new MemoryTable(port2, undefined, () => undefined).view(id, 8)[0]).toBe(3);
});

test('an index that is used again does not stand for its former memory', () => {
  const { port1, port2 } = new MessageChannel();
  const table = new MemoryTable(port2, undefined, () => undefined);
  const old = 5;
  const next = 5 | (1 << 20);
  tell(port1, { kind: 'memory', id: old, memory: sharedBytes(8).fill(1).buffer });
  expect(table.view(old, 8)[0]).toBe(1);
  tell(port1, { kind: 'forget', id: old });
  tell(port1, { kind: 'memory', id: next, memory: sharedBytes(8).fill(2).buffer });
  expect(table.view(next, 8)[0]).toBe(2);
  expect(() => table.view(old, 8)).toThrow(InvariantError);
});

test('memories that callers drop are garbage-collected and forgotten, and their indices are used again', async () => {
  const { client, table } = pair();
  const indices = new Set<number>();
  for (let round = 0; round < 5; round++) {
    for (let count = 0; count < 20; count++) {
      const id = client.idOf(sharedBytes(1024).fill(count).buffer);
      indices.add(id & 0xfffff);
      expect(table.view(id, 1024)[0]).toBe(count);
    }
    client.rest();
    while (client.count > 0) {
      await new Promise((resolve) => setImmediate(resolve));
      collect();
    }
  }
  expect(indices.size).toBe(20);
});

test('the memory of a request that is under way is not collected', async () => {
  const bench = new RingBench();
  const { gates } = bench.add({ answers: 'promises' });
  Atomics.store(gates, GATE.HOLD_PROMISES, 1);
  const writes = Array.from({ length: 20 }, (_, index) =>
    bench.client.write(ANY_BLOB, sharedBytes(UNIT).fill(index + 1), index, 1),
  );
  for (let round = 0; round < 5; round++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  Atomics.store(gates, GATE.HOLD_PROMISES, 0);
  await Promise.all(writes);
  expect(Array.from({ length: 20 }, (_, index) => bench.medium[index * UNIT])).toEqual(
    Array.from({ length: 20 }, (_, index) => index + 1),
  );
});

test('a busy worker gets new memories at any time', async () => {
  const bench = new RingBench({ entries: 8 });
  bench.add();
  bench.add();
  bench.medium.fill(4);
  for (let round = 0; round < 50; round++) {
    const buffers = Array.from({ length: 40 }, () => sharedBytes(UNIT));
    await Promise.all(buffers.map((buffer) => bench.client.read(ANY_BLOB, buffer, 0, 1)));
    expect(buffers.every((buffer) => buffer[UNIT - 1] === 4)).toBe(true);
    if (round % 10 === 0) collect();
  }
});

/** A client whose sleep was ended by the death of a worker, not by the bell, and which has removed its other worker. */
async function clientThatSlept(): Promise<WeakRef<object>> {
  const idle = new EventEmitter();
  const bench = new RingBench({ onIdle: () => idle.emit('idle') });
  const rested = once(idle, 'idle');
  const { gates, ring, lane, thread, exited } = bench.add({ answers: 'now' });
  const other = bench.add();
  const asleep = new Int32Array(ring.client, 0, CLIENT.WORDS);
  Atomics.store(gates, GATE.HOLD, 1);
  const read = failureOf(bench.client.read(ANY_BLOB, sharedBytes(UNIT), 0, 1));
  await reached(asleep, CLIENT.ASLEEP, 1);
  await thread.terminate();
  await exited;
  bench.client.failWorker(lane, new Error('it died'));
  await read;
  await rested;
  expect([asleep[CLIENT.ASLEEP], asleep[CLIENT.BELL]]).toEqual([0, 0]);
  await bench.client.removeWorker(other.lane);
  return new WeakRef(bench.client);
}

test('a client without workers is garbage-collected, even if it was about to be woken', async () => {
  const client = await clientThatSlept();
  while (client.deref() !== undefined) {
    await new Promise((resolve) => setImmediate(resolve));
    collect();
  }
});
