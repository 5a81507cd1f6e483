/**
 * Single reads of a thread that computes for 5 ms before each. What is measured is not how long a read takes, but how
 * much processor time all threads of the process spend on it. In a container with one processor, the thread that
 * computes loses that time.
 */

import { open } from 'node:fs/promises';
import type { Benchmark, Scale, Side, Workload } from '../benchmark.js';
import { KIB, sized } from '../fixtures.js';
import { processMs, threadMs } from '../processor-time.js';
import { newGround } from '../threads/ground.js';

const READ_BYTES = 4 * KIB;
const READS = 20;
const READS_SMOKE = 2;
const BURST_MS = 5;
const SLEEP_MS = 0.01;
const NEVER_WOKEN = new Int32Array(new SharedArrayBuffer(4));

export const BURSTS: readonly Benchmark[] = [
  {
    name: 'pool-read-bursts',
    operation: `processor time of the process for a read of 4 KiB through an I/O worker, one after each ${BURST_MS} ms of computing`,
    baseline: 'FileHandle.read',
    target: { ratioMin: 1 },
    isAsync: true,
    schedule: { rounds: 11, roundMs: 0, warmupMs: 100 },
    prepare,
  },
];

async function prepare(scale: Scale): Promise<Workload> {
  const ground = await newGround(scale, 'file', 1);
  const { store, blob, bare } = ground;
  const handle = await open(bare.path ?? '', 'r');
  const reads = sized(scale, READS, READS_SMOKE);
  const [shared, plain] = [store.allocate(READ_BYTES), new Uint8Array(READ_BYTES)];
  return {
    operationsPerCall: reads,
    subject: afterBursts(reads, (offset) => blob.read(offset, shared)),
    baseline: afterBursts(reads, (offset) => handle.read(plain, 0, READ_BYTES, bare.start + offset)),
    sidesAgree: true,
    dispose: async () => {
      await handle.close();
      await ground.dispose();
    },
  };
}

function afterBursts(reads: number, read: (offset: number) => Promise<unknown>): Side {
  let milliseconds = 0;
  const run = async () => {
    const before = processMs();
    let computedMs = 0;
    for (let done = 0; done < reads; done++) {
      computedMs += compute(BURST_MS);
      await read(done * READ_BYTES);
    }
    milliseconds = processMs() - before - computedMs;
    return reads;
  };
  return { run, lastMilliseconds: () => milliseconds };
}

/** Computes for `ms` milliseconds. Returns the processor time that this took, in milliseconds. */
function compute(ms: number): number {
  const before = settledMs();
  for (const end = performance.now() + ms; performance.now() < end; );
  return settledMs() - before;
}

/** The thread's processor time in milliseconds. The sleep brings it up to date: the system updates it then. */
function settledMs(): number {
  Atomics.wait(NEVER_WOKEN, 0, 0, SLEEP_MS);
  return threadMs();
}
