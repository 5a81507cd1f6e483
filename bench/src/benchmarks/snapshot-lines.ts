/**
 * A line of 1000 snapshots, each a clone of the one before, and at its end a blob that is written. Half of the blob's
 * clusters have their data in the first snapshot, the other half in the blob itself. The store is in memory, without
 * threads.
 */

import { MemoryDevice } from '@blobyard/io';
import { type Blob, createStore, openStore, type Store } from '@blobyard/workers';
import type { Benchmark, Scale, Side, Workload } from '../benchmark.js';
import { KIB, MIB, sized } from '../fixtures.js';

const LENGTH = 1000;
const LENGTH_SHORT = 10;
const LENGTH_SMOKE = 20;
const CLUSTER_BYTES = 64 * KIB;
const CLUSTERS = 64;
const READS = 1000;
const OPERATIONS = 10;

interface Line {
  readonly device: MemoryDevice;
  readonly store: Store;
  /** The blob at the end. */
  readonly last: Blob;
}

export const SNAPSHOT_LINES: readonly Benchmark[] = [
  {
    name: 'line-snapshot',
    operation: `a snapshot at the end of a line of ${LENGTH}, its close and its deletion`,
    baseline: `behind ${LENGTH_SHORT}`,
    isAsync: true,
    prepare: prepareSnapshot,
  },
  {
    name: 'line-list',
    operation: `blobs() of a store with a line of ${LENGTH} snapshots`,
    target: { millisecondsMax: 10 },
    isAsync: true,
    prepare: prepareList,
  },
  {
    name: 'line-open',
    operation: `opening the last blob of a line of ${LENGTH}, with nothing else open, and closing it`,
    target: { millisecondsMax: 20 },
    isAsync: true,
    prepare: prepareOpen,
  },
  {
    name: 'line-read',
    operation: `read of 4 KiB by the last blob of a line of ${LENGTH}, of data that its first snapshot has`,
    baseline: 'of data of the blob itself',
    prepare: prepareRead,
  },
];

const lengthFor = (scale: Scale) => sized(scale, LENGTH, LENGTH_SMOKE);

async function newLine(length: number): Promise<Line> {
  const device = MemoryDevice.create({ sizeBytes: 64 * MIB });
  const store = await createStore({ device, clusterSizeBytes: CLUSTER_BYTES, mdPageCount: 4 * LENGTH });
  const last = await store.create({ name: 'last', sizeBytes: CLUSTERS * CLUSTER_BYTES, thin: true });
  await last.write(new Uint8Array((CLUSTERS / 2) * CLUSTER_BYTES).fill(1), 0);
  for (let made = 0; made < length; made++) await (await last.snapshot()).close();
  await last.write(new Uint8Array((CLUSTERS / 2) * CLUSTER_BYTES).fill(1), (CLUSTERS / 2) * CLUSTER_BYTES);
  await store.flush();
  return { device, store, last };
}

async function disposeOf(...lines: readonly Line[]): Promise<void> {
  for (const { last, store } of lines) {
    if (!last.isClosed) await last.close();
    await store.close();
  }
}

async function prepareSnapshot(scale: Scale): Promise<Workload> {
  const lines = [await newLine(lengthFor(scale)), await newLine(LENGTH_SHORT)];
  const [subject, baseline] = lines.map(({ store, last }): Side => {
    const run = async () => {
      for (let made = 0; made < OPERATIONS; made++) {
        const snapshot = await last.snapshot();
        await snapshot.close();
        await store.delete(snapshot.id);
      }
      return OPERATIONS;
    };
    return { run };
  });
  return { operationsPerCall: OPERATIONS, subject, baseline, dispose: () => disposeOf(...lines) };
}

async function prepareList(scale: Scale): Promise<Workload> {
  const line = await newLine(lengthFor(scale));
  const run = async () => (await line.store.blobs()).length;
  return { operationsPerCall: 1, subject: { run }, dispose: () => disposeOf(line) };
}

async function prepareOpen(scale: Scale): Promise<Workload> {
  const { device, store, last } = await newLine(lengthFor(scale));
  await last.close();
  await store.close();
  const opened = await openStore({ device });
  const run = async () => {
    const blob = await opened.open({ name: 'last' });
    const { sizeBytes } = blob;
    await blob.close();
    return sizeBytes;
  };
  return { operationsPerCall: 1, subject: { run }, dispose: () => opened.close() };
}

async function prepareRead(scale: Scale): Promise<Workload> {
  const line = await newLine(lengthFor(scale));
  const into = line.store.allocate(4 * KIB);
  const side = (firstCluster: number): Side => {
    const run = () => {
      let sum = 0;
      for (let read = 0; read < READS; read++) {
        line.last.readSync((firstCluster + (read % (CLUSTERS / 2))) * CLUSTER_BYTES, into);
        sum += into[read];
      }
      return sum;
    };
    return { run };
  };
  return {
    operationsPerCall: READS,
    subject: side(0),
    baseline: side(CLUSTERS / 2),
    sidesAgree: true,
    dispose: () => disposeOf(line),
  };
}
