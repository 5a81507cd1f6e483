/**
 * A process with threads that are attached to a store. Run by `process-end.test.ts`, which checks whether it ends, and
 * what it has printed by then. The first argument selects what its thread does before it has nothing more to do.
 */

import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { attach, createStore, type StoreHandle } from '@blobyard/workers';

const CLUSTER = 16384;
const WRITES = 50;

interface Given {
  readonly handle: StoreHandle;
  readonly id: bigint;
  readonly scenario: string;
}

async function main(scenario: string): Promise<void> {
  const store = await createStore({
    device: { kind: 'memory', sizeBytes: 4 << 20 },
    clusterSizeBytes: CLUSTER,
    threads: scenario === 'main thread' ? 1 : 0, // a thread that serves a store cannot be attached to it
  });
  const blob = await store.create({ sizeBytes: WRITES * CLUSTER, thin: true });
  const given: Given = { handle: store.share(), id: blob.id, scenario };
  if (scenario === 'main thread') {
    await work(given);
    return; // the process must end though nothing is closed
  }
  const worker = new Worker(new URL(import.meta.url), { workerData: given });
  await new Promise((resolve) => worker.once('exit', resolve));
  const { allocatedBytes } = await blob.info();
  console.log(`allocated ${allocatedBytes / CLUSTER}`);
  if (scenario !== 'store left open') await store.close();
}

async function work({ handle, id, scenario }: Given): Promise<void> {
  const store = await attach(handle);
  const blob = await store.open(id);
  const piece = new Uint8Array(4096).fill(1);
  if (scenario === 'idle' || scenario === 'store left open') return;
  let left = WRITES;
  for (let at = 0; at < WRITES; at++) {
    // The promise is not awaited, so that only the operation itself keeps the thread alive.
    void blob.write(piece, at * CLUSTER).then(() => {
      left--;
      if (left === 0) console.log('all written');
    });
  }
}

if (isMainThread) await main(process.argv[2]);
else await work(workerData as Given);
