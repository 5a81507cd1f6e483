/**
 * Calls of the API that the metadata thread answers, one at a time, in a store with one I/O worker. The baseline is the
 * same call in a store without threads. Both stores are in memory.
 */

import { MemoryDevice } from '@blobyard/io';
import { type Blob, createStore, type Store } from '@blobyard/workers';
import type { Benchmark, Scale, Side, Workload } from '../benchmark.js';
import { KIB, MIB, sized } from '../fixtures.js';

const OPERATIONS = 20;
const OPERATIONS_SMOKE = 2;
const WRITE_BYTES = 4 * KIB;

interface Yard {
  readonly store: Store;
  readonly blob: Blob;
  readonly data: Uint8Array;
}

type Call = (yard: Yard) => Promise<unknown>;

export const METADATA_CALLS: readonly Benchmark[] = [
  compared('pool-create', 'creating a blob, its close and its deletion', async ({ store }) => {
    const made = await store.create();
    await made.close();
    await store.delete(made.id);
  }),
  compared('pool-open', 'opening a blob by its id, and its close', async ({ store, blob }) => {
    await (await store.open(blob.id)).close();
  }),
  compared('pool-info', 'info() of a blob', ({ blob }) => blob.info()),
  compared(
    'pool-flush',
    'write of 4 KiB to space that is allocated, and flush() of the blob',
    async ({ blob, data }) => {
      await blob.write(data, 0);
      await blob.flush();
    },
  ),
];

function compared(name: string, operation: string, call: Call): Benchmark {
  return {
    name,
    operation: `${operation}, in a store with one I/O worker`,
    baseline: 'without threads',
    isAsync: true,
    prepare: (scale) => prepare(scale, call),
  };
}

async function prepare(scale: Scale, call: Call): Promise<Workload> {
  const operations = sized(scale, OPERATIONS, OPERATIONS_SMOKE);
  const yards = [await newYard(1), await newYard(0)];
  const [subject, baseline] = yards.map((yard): Side => {
    const run = async () => {
      for (let done = 0; done < operations; done++) await call(yard);
      return operations;
    };
    return { run };
  });
  const dispose = async () => {
    for (const { store } of yards) await store.close();
  };
  return { operationsPerCall: operations, subject, baseline, sidesAgree: true, dispose };
}

async function newYard(threads: number): Promise<Yard> {
  const store = await createStore({ device: MemoryDevice.create({ sizeBytes: 64 * MIB }), threads });
  const blob = await store.create({ name: 'blob', sizeBytes: MIB });
  const data = store.allocate(WRITE_BYTES);
  await blob.write(data, 0);
  await store.flush();
  return { store, blob, data };
}
