/** Opening and closing a store of a hundred blobs in memory, including the start and end of its threads. */

import { MemoryDevice } from '@blobyard/io';
import { createStore, openStore } from '@blobyard/workers';
import type { Benchmark, Scale, Side, Workload } from '../benchmark.js';
import { MIB, sized } from '../fixtures.js';

const THREADS = 4;
const BLOBS = 100;
const BLOBS_SMOKE = 3;

export const OPENING: readonly Benchmark[] = [
  {
    name: `open-close-store-${THREADS}-threads`,
    operation: `opening and closing a store with ${THREADS} I/O workers`,
    baseline: 'without threads',
    isAsync: true,
    schedule: { rounds: 7, roundMs: 0, warmupMs: 0 },
    prepare,
  },
];

async function prepare(scale: Scale): Promise<Workload> {
  const blobs = sized(scale, BLOBS, BLOBS_SMOKE);
  const device = MemoryDevice.create({ sizeBytes: 64 * MIB });
  const store = await createStore({ device, mdPageCount: 256 });
  for (let count = 0; count < blobs; count++) await store.create();
  await store.close();
  const side = (threads: number): Side => ({
    run: async () => {
      const opened = await openStore({ device, threads });
      const { blobCount } = await opened.stats();
      await opened.close();
      if (blobCount !== blobs) throw new Error(`the store has ${blobCount} blobs instead of ${blobs}`);
      return blobCount;
    },
  });
  return { operationsPerCall: 1, subject: side(THREADS), baseline: side(0), sidesAgree: true };
}
