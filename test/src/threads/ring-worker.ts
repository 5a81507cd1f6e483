/**
 * An I/O worker for the tests of the rings. Its channel is that of a store of its own on a memory device, or a plain one over
 * a piece of shared memory, which can be held up, fail, and answer in every way that a channel has.
 */

import { type MessagePort, workerData } from 'node:worker_threads';
import { type BlobRef, Blobstore, BlobstoreError, InvariantError, runSync } from '@blobyard/core';
import { asyncDevice, MemoryDevice, type SharedWasmMemory } from '@blobyard/io';
import type { BellHooks } from '../../../packages/workers/dist/threads/rings/bell.js';
import type { RingBuffers } from '../../../packages/workers/dist/threads/rings/ring-layout.js';
import { type RingChannel, RingServer } from '../../../packages/workers/dist/threads/rings/ring-server.js';

export interface RingWorkerData {
  ring: RingBuffers;
  port: MessagePort;
  gates: Int32Array;
  /** How the plain channel answers. */
  plain?: { medium: Uint8Array; answers: Answers; seed: number };
  /** The device under a store. */
  store?: { memory: SharedWasmMemory; asynchronous: boolean };
  promisesMax?: number;
  /** Stops at this point of going to sleep until it is let on; see `GATE.STAGE`. */
  stopAt?: keyof BellHooks;
}

/** At once, by promises, both by chance, or by chance with pauses in which the ring runs empty or full. */
export type Answers = 'now' | 'promises' | 'mixed' | 'slow';

/** Words by which a test and the worker talk. */
export const GATE = {
  /** Requests that were begun. */
  BEGUN: 0,
  UNDER_WAY: 1,
  /** The most that were under way at once. */
  MOST: 2,
  /** While 1, a request waits before it does anything, and the thread with it. */
  HOLD: 3,
  /** While 1, a promise waits before it does anything. */
  HOLD_PROMISES: 4,
  /** The worker has stopped on its way to sleep. */
  STAGE: 5,
  /** Set by the test: go on. */
  GO: 6,
  /** Slot and generation of the store's blob, and its io unit. */
  SLOT: 8,
  GENERATION: 9,
  IO_UNIT_BYTES: 10,
  READY: 11,
  WORDS: 16,
} as const;

export const PLAIN_UNIT_BYTES = 64;
/** Units of the plain medium that fail, and how. */
export const FAILING = { EIO: 1_000_000, LONG: 1_000_001, BUG: 1_000_002, FOREIGN: 1_000_003 } as const;
export const LONG_MESSAGE = 'ä'.repeat(5000);

const data = workerData as RingWorkerData;
const { gates } = data;

function plainChannel({ medium, answers, seed }: NonNullable<RingWorkerData['plain']>): RingChannel {
  const random = randomOf(seed);
  const move = (isWrite: boolean, buffers: readonly Uint8Array[], offset: number) => {
    fail(offset);
    let at = offset * PLAIN_UNIT_BYTES;
    for (const buffer of buffers) {
      const place = medium.subarray(at, at + buffer.length);
      if (isWrite) place.set(buffer);
      else buffer.set(place);
      at += buffer.length;
    }
  };
  const zero = (offset: number, count: number) => {
    medium.fill(0, offset * PLAIN_UNIT_BYTES, (offset + count) * PLAIN_UNIT_BYTES);
  };
  const part = (buffer: Uint8Array, count: number, at = 0) => [buffer.subarray(at, at + count * PLAIN_UNIT_BYTES)];
  const now = (isWrite: boolean) => (_: BlobRef, buffer: Uint8Array, offset: number, count: number, at: number) => {
    if (answers === 'promises' || (answers !== 'now' && random() < 0.5)) return false;
    if (answers === 'slow' && random() < 0.05) pause(random() * 0.3);
    begin();
    move(isWrite, part(buffer, count, at), offset);
    end();
    return true;
  };
  const later = async (work: () => void) => {
    begin();
    try {
      if (random() < 0.5) await new Promise((resolve) => setImmediate(resolve));
      while (Atomics.load(gates, GATE.HOLD_PROMISES) === 1) await new Promise((resolve) => setImmediate(resolve));
      work();
    } finally {
      end();
    }
  };
  return {
    tryReadNow: now(false),
    tryWriteNow: now(true),
    read: (_, buffer, offset, count, at) => later(() => move(false, part(buffer, count, at), offset)),
    write: (_, buffer, offset, count, at) => later(() => move(true, part(buffer, count, at), offset)),
    readv: (_, buffers, offset) => later(() => move(false, buffers, offset)),
    writev: (_, buffers, offset) => later(() => move(true, buffers, offset)),
    writeZeroes: (_, offset, count) => later(() => zero(offset, count)),
    unmap: (_, offset, count) => later(() => zero(offset, count)),
  };
}

function begin(): void {
  Atomics.add(gates, GATE.BEGUN, 1);
  Atomics.notify(gates, GATE.BEGUN);
  const underWay = Atomics.add(gates, GATE.UNDER_WAY, 1) + 1;
  if (underWay > gates[GATE.MOST]) gates[GATE.MOST] = underWay;
  Atomics.wait(gates, GATE.HOLD, 1);
}

function end(): void {
  Atomics.sub(gates, GATE.UNDER_WAY, 1);
}

function fail(offset: number): void {
  if (offset === FAILING.EIO) throw new BlobstoreError('EIO', 'the medium is broken: replace it');
  if (offset === FAILING.LONG) throw new BlobstoreError('ENOSPC', LONG_MESSAGE);
  if (offset === FAILING.BUG) throw new InvariantError('two and two are five');
  if (offset === FAILING.FOREIGN) throw new TypeError('not a function');
}

function pause(milliseconds: number): void {
  const until = performance.now() + milliseconds;
  while (performance.now() < until);
}

export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return (state >>> 8) / 2 ** 24;
  };
}

function storeChannel({ memory, asynchronous }: NonNullable<RingWorkerData['store']>): RingChannel {
  const device = new MemoryDevice({ memory });
  const store = runSync(Blobstore.init(device, { clusterBytes: 65_536, mdPageCount: 64 }));
  const blob = runSync(store.openBlob(runSync(store.createBlob({ clusterCount: 64, thin: true }))));
  gates[GATE.SLOT] = blob.slot;
  gates[GATE.GENERATION] = blob.generation;
  gates[GATE.IO_UNIT_BYTES] = store.geometry.ioUnitBytes;
  if (asynchronous) void asyncDevice;
  return store.openChannel();
}

function hooks(): BellHooks | undefined {
  const { stopAt } = data;
  if (stopAt === undefined) return undefined;
  return {
    [stopAt]() {
      Atomics.store(gates, GATE.STAGE, 1);
      Atomics.notify(gates, GATE.STAGE);
      Atomics.wait(gates, GATE.GO, 0);
    },
  };
}

async function serve(): Promise<void> {
  const channel = data.plain ? plainChannel(data.plain) : storeChannel(data.store as NonNullable<typeof data.store>);
  const { promisesMax } = data;
  const deviceMemory = data.store?.memory;
  const server = new RingServer(data.ring, data.port, { channel, deviceMemory, promisesMax, hooks: hooks() });
  Atomics.store(gates, GATE.READY, 1);
  Atomics.notify(gates, GATE.READY);
  await server.run();
}

if (workerData?.ring !== undefined) void serve();
