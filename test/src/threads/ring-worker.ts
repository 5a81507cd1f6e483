/**
 * An I/O worker for the tests of the rings. Its channel is that of its own store on a memory device, or a plain one on
 * shared memory, which can wait, fail, and answer in each way that a channel can.
 */

import { workerData } from 'node:worker_threads';
import { type BlobRef, Blobstore, BlobstoreError, InvariantError, run } from '@blobyard/core';
import { asyncDevice, MemoryDevice } from '@blobyard/io';
import type { BellHooks } from '../../../packages/workers/dist/io-pool/rings/bell.js';
import { type RingChannel, RingServer } from '../../../packages/workers/dist/io-pool/rings/ring-server.js';
import { Random, shuffled } from '../random.js';
import { FAILING, GATE, LONG_MESSAGE, PLAIN_UNIT_BYTES, type RingWorkerData } from './ring-gates.js';

const data = workerData as RingWorkerData;
const { gates } = data;

function plainChannel({ medium, answers, seed }: NonNullable<RingWorkerData['plain']>): RingChannel {
  const random = new Random(seed);
  const move = (isWrite: boolean, buffers: readonly Uint8Array[], offset: number, unitBytes = PLAIN_UNIT_BYTES) => {
    fail(offset);
    let at = offset * unitBytes;
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
  type Transfer<T> = (_: BlobRef, buffer: Uint8Array, offset: number, count: number, at?: number) => T;
  const now =
    (isWrite: boolean, unitBytes = PLAIN_UNIT_BYTES): Transfer<boolean> =>
    (_, buffer, offset, count, at = 0) => {
      if (answers === 'promises' || (answers !== 'now' && random.fraction() < 0.5)) return false;
      if (answers === 'slow' && random.fraction() < 0.05) pause(random.fraction() * 0.3);
      begin();
      move(isWrite, [buffer.subarray(at, at + count * unitBytes)], offset, unitBytes);
      end();
      return true;
    };
  const byPromise =
    (isWrite: boolean, unitBytes = PLAIN_UNIT_BYTES): Transfer<Promise<void>> =>
    (_, buffer, offset, count, at = 0) =>
      later(() => move(isWrite, [buffer.subarray(at, at + count * unitBytes)], offset, unitBytes));
  const later = async (work: () => void) => {
    begin();
    try {
      if (random.fraction() < 0.5) await new Promise((resolve) => setImmediate(resolve));
      while (Atomics.load(gates, GATE.HOLD_PROMISES) === 1) await new Promise((resolve) => setImmediate(resolve));
      work();
    } finally {
      end();
    }
  };
  return {
    tryReadNow: now(false),
    tryWriteNow: now(true),
    tryReadBytesNow: now(false, 1),
    tryWriteBytesNow: now(true, 1),
    read: byPromise(false),
    write: byPromise(true),
    readBytes: byPromise(false, 1),
    writeBytes: byPromise(true, 1),
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

async function storeChannel({ memory, asynchronous }: NonNullable<RingWorkerData['store']>): Promise<RingChannel> {
  const plain = new MemoryDevice({ memory });
  const device = asynchronous ? asyncDevice(plain, shuffled(1)) : plain;
  const store = await run(Blobstore.init(device, { clusterBytes: 65_536, mdPageCount: 64 }));
  const blob = await run(store.openBlob(await run(store.createBlob({ clusterCount: 64, thin: true }))));
  gates[GATE.SLOT] = blob.slot;
  gates[GATE.GENERATION] = blob.generation;
  gates[GATE.IO_UNIT_BYTES] = store.geometry.ioUnitBytes;
  return store.openChannel();
}

function hooks(): BellHooks | undefined {
  const { stopAt } = data;
  if (stopAt === undefined) return undefined;
  return {
    [stopAt]() {
      const stage = Atomics.add(gates, GATE.STAGE, 1) + 1;
      Atomics.notify(gates, GATE.STAGE);
      Atomics.wait(gates, GATE.GO, stage - 1);
    },
  };
}

async function serve(): Promise<void> {
  const { plain, store, promisesMax, isPrompt } = data;
  const channel = store ? await storeChannel(store) : plainChannel(plain as NonNullable<typeof plain>);
  const deviceMemory = store?.memory;
  const options = { channel, deviceMemory, promisesMax, isPrompt, hooks: hooks() };
  const server = new RingServer(data.ring, data.port, options);
  Atomics.store(gates, GATE.READY, 1);
  Atomics.notify(gates, GATE.READY);
  await server.run();
}

void serve();
