/**
 * Operations with many open handles, many requests at once, or many blobs: the cost of one must not grow with their
 * number. In memory, without threads. Where there is a baseline, it is the same operation with few of them.
 */

import { MemoryDevice } from '@blobyard/io';
import { type Blob, createStore, openStore, type Store } from '@blobyard/workers';
import type { Benchmark, Scale, Side, Workload } from '../benchmark.js';
import { KIB, MIB, sized } from '../fixtures.js';

const HANDLES = 20_000;
const REQUESTS = 80_000;
const REQUESTS_FEW = 400;
const BLOBS = 100_000;
const FEW = 20;
const SMOKE = 100;
const OPERATIONS = 20;
const CLUSTER_BYTES = 16 * KIB;
/** The schedule of long operations, for which a few rounds are enough. */
const LONG = { rounds: 7, roundMs: 0, warmupMs: 0 } as const;

export const MANY: readonly Benchmark[] = [
  {
    name: 'flush-beside-20000',
    operation: `store.flush() beside ${HANDLES} open blobs without unsynced changes`,
    baseline: `beside ${FEW}`,
    isAsync: true,
    prepare: (scale) => besideHandles(scale, flushOnce),
  },
  {
    name: 'create-delete-beside-20000',
    operation: `creating, closing and deleting a blob beside ${HANDLES} open ones`,
    baseline: `beside ${FEW}`,
    isAsync: true,
    prepare: (scale) => besideHandles(scale, createAndDelete),
  },
  {
    name: 'write-80000-at-once',
    operation: `write of 4 KiB, ${REQUESTS} at once`,
    baseline: `${REQUESTS_FEW} at once`,
    isAsync: true,
    schedule: LONG,
    prepare: prepareAtOnce,
  },
  {
    name: 'list-100000',
    operation: `blobs() of a store of ${BLOBS} blobs`,
    target: { millisecondsMax: 500 },
    isAsync: true,
    schedule: LONG,
    prepare: prepareList,
  },
  {
    name: 'load-clean-100000',
    operation: `opening a store of ${BLOBS} blobs that was closed`,
    target: { millisecondsMax: 1000 },
    isAsync: true,
    schedule: LONG,
    prepare: prepareLoad,
  },
];

type Operation = (store: Store) => Promise<unknown>;

const flushOnce: Operation = (store) => store.flush();

const createAndDelete: Operation = async (store) => {
  const blob = await store.create();
  await blob.close();
  await store.delete(blob.id);
};

async function newStore(blobs: number): Promise<{ device: MemoryDevice; store: Store }> {
  const mdPageCount = blobs + SMOKE;
  const sizeBytes = 16 * MIB + mdPageCount * 4 * KIB;
  const device = MemoryDevice.create({ sizeBytes });
  const store = await createStore({
    device,
    clusterSizeBytes: CLUSTER_BYTES,
    mdPageCount,
    durability: 'process-crash',
  });
  return { device, store };
}

async function besideHandles(scale: Scale, operation: Operation): Promise<Workload> {
  const stores: Store[] = [];
  const sideOf = async (handles: number): Promise<Side> => {
    const { store } = await newStore(handles);
    stores.push(store);
    for (let made = 0; made < handles; made++) await store.create();
    await store.flush();
    const run = async () => {
      for (let done = 0; done < OPERATIONS; done++) await operation(store);
      return OPERATIONS;
    };
    return { run };
  };
  return {
    operationsPerCall: OPERATIONS,
    subject: await sideOf(sized(scale, HANDLES, SMOKE)),
    baseline: await sideOf(FEW),
    sidesAgree: true,
    dispose: () => closeAll(stores),
  };
}

async function closeAll(stores: readonly Store[]): Promise<void> {
  for (const store of stores) await store.close();
}

/** A call makes the same number of writes on both sides. The baseline waits for them after every `REQUESTS_FEW`. */
async function prepareAtOnce(scale: Scale): Promise<Workload> {
  const requests = sized(scale, REQUESTS, REQUESTS_FEW * 2);
  const { store } = await newStore(FEW);
  const blob = await store.create({ sizeBytes: 8 * MIB });
  const data = store.allocate(4 * KIB);
  const sideOf = (atOnce: number): Side => ({ run: () => writeMany(blob, data, requests, atOnce) });
  return {
    operationsPerCall: requests,
    subject: sideOf(requests),
    baseline: sideOf(REQUESTS_FEW),
    sidesAgree: true,
    dispose: () => store.close(),
  };
}

async function writeMany(blob: Blob, data: Uint8Array, requests: number, atOnce: number): Promise<number> {
  const places = blob.sizeBytes / data.length;
  for (let begun = 0; begun < requests; ) {
    const under: Promise<void>[] = [];
    for (; under.length < atOnce; begun++) under.push(blob.write(data, (begun % places) * data.length));
    await Promise.all(under);
  }
  return requests;
}

async function closedStore(scale: Scale): Promise<{ device: MemoryDevice; blobs: number }> {
  const blobs = sized(scale, BLOBS, SMOKE);
  const { device, store } = await newStore(blobs);
  for (let made = 0; made < blobs; made++) await (await store.create({ name: `blob ${made}` })).close();
  await store.close();
  return { device, blobs };
}

async function prepareList(scale: Scale): Promise<Workload> {
  const { device } = await closedStore(scale);
  const store = await openStore({ device });
  const run = async () => (await store.blobs()).length;
  return { operationsPerCall: 1, subject: { run }, dispose: () => store.close() };
}

async function prepareLoad(scale: Scale): Promise<Workload> {
  const { device, blobs } = await closedStore(scale);
  let store: Store | undefined;
  const run = async () => {
    store = await openStore({ device });
    return blobs;
  };
  return { operationsPerCall: 1, subject: { run, after: () => store?.close() } };
}
