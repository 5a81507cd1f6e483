/** What the tests of the rings share: a client, its workers, and the memory that they use. */

import { once } from 'node:events';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import type { BlobRef } from '@blobyard/core';
import { MemoryDevice } from '@blobyard/io';
import type { SharedWasmMemory } from '@blobyard/io/internal/bulk-memory';
import { afterEach } from 'vitest';
import { RingClient, type RingClientOptions } from '../../../packages/workers/dist/io-pool/rings/ring-client.js';
import type { RingBuffers } from '../../../packages/workers/dist/io-pool/rings/ring-layout.js';
import type { WorkerLane } from '../../../packages/workers/dist/io-pool/rings/worker-lane.js';
import { type Answers, GATE, PLAIN_UNIT_BYTES, type RingWorkerData } from './ring-gates.js';

const WORKER = new URL('../../dist/threads/ring-worker.js', import.meta.url);
const MEDIUM_UNITS = 4096;

/** A blob for the plain channel, which ignores it. */
export const ANY_BLOB: BlobRef = { slot: 1, generation: 7 };

export interface StartedWorker {
  thread: Worker;
  ring: RingBuffers;
  gates: Int32Array;
  /** The client's end. */
  port: MessagePort;
  exited: Promise<unknown>;
}

export interface RingWorkerOptions extends Pick<RingWorkerData, 'store' | 'promisesMax' | 'isPrompt' | 'stopAt'> {
  answers?: Answers;
}

const started: StartedWorker[] = [];

afterEach(async () => {
  const ended = started.splice(0).map(async ({ thread, gates, exited }) => {
    open(gates, GATE.HOLD);
    await thread.terminate();
    await exited;
  });
  await Promise.all(ended);
});

export class RingBench {
  readonly client: RingClient;
  /** The memory that the plain channel reads and writes. */
  readonly medium = sharedBytes(MEDIUM_UNITS * PLAIN_UNIT_BYTES);
  #seed = 1;

  constructor(options: Partial<RingClientOptions> = {}) {
    this.client = new RingClient({ ioUnitBytes: PLAIN_UNIT_BYTES, ...options });
  }

  /** Starts a thread with a server, without adding it to the client. `port` is for `addWorker`. */
  start({ answers = 'mixed', ...rest }: RingWorkerOptions = {}): StartedWorker {
    const ring = this.client.createRing();
    const gates = new Int32Array(new SharedArrayBuffer(GATE.WORDS * 4));
    const { port1, port2 } = new MessageChannel();
    const plain = { medium: this.medium, answers, seed: this.#seed++ };
    const data: RingWorkerData = { ring, port: port2, gates, plain, ...rest };
    const thread = new Worker(WORKER, { workerData: data, transferList: [port2] });
    const worker = { thread, ring, gates, port: port1, exited: once(thread, 'exit') };
    started.push(worker);
    return worker;
  }

  /** Starts a thread with a server, and adds it to the client. */
  add(options?: RingWorkerOptions): StartedWorker & { lane: WorkerLane } {
    const worker = this.start(options);
    return { ...worker, lane: this.client.addWorker(worker.ring, worker.port) };
  }
}

/** A client with a worker that has its own store on a memory device, and the blob of this store. */
export async function storeBench(options: { asynchronous: boolean }) {
  const device = MemoryDevice.create({ sizeBytes: 8 << 20, arenaBytes: 4 << 20 });
  const memory: SharedWasmMemory = device.memory;
  const bench = new RingBench({ ioUnitBytes: device.blockLengthBytes, deviceMemory: memory });
  const worker = bench.add({ store: { memory, ...options } });
  await reached(worker.gates, GATE.READY, 1);
  const blob: BlobRef = { slot: worker.gates[GATE.SLOT], generation: worker.gates[GATE.GENERATION] };
  return { client: bench.client, worker, device, blob };
}

/** Resolves when a word is at least `least`. The event loop turns meanwhile. */
export async function reached(gates: Int32Array, word: number, least: number): Promise<void> {
  while (Atomics.load(gates, word) < least) await new Promise((resolve) => setImmediate(resolve));
}

/** Lets the requests go on that wait for a gate word to become 0. */
export function open(gates: Int32Array, word: number): void {
  Atomics.store(gates, word, 0);
  Atomics.notify(gates, word);
}

export function sharedBytes(length: number): Uint8Array<SharedArrayBuffer> {
  return new Uint8Array(new SharedArrayBuffer(length));
}

/** The error with which a promise rejects. Throws if it does not reject. */
export async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}
