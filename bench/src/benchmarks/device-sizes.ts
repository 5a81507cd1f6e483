/**
 * Opening a store after a kill, and checking it, on sparse devices of several sizes. Each holds a store of one blob
 * with one cluster. The baseline does the same on a device of 1 GiB: a ratio near 1 means that the cost does not depend
 * on the size of the device.
 */

import { Blobstore, type BlockDevice, checkStore, runSync } from '@blobyard/core';
import { SparseMemoryDevice } from '@blobyard/io';
import type { Benchmark, Side, Workload } from '../benchmark.js';
import { GIB, newBlob, newStore, sized, TIB } from '../fixtures.js';

const SIZES = [
  { name: '1t', bytes: TIB, words: '1 TiB' },
  { name: '64t', bytes: 64 * TIB, words: '64 TiB' },
] as const;

type Work = (device: BlockDevice) => number;

export const DEVICE_SIZES: readonly Benchmark[] = SIZES.flatMap(({ name, bytes, words }) => [
  compared(`recover-${name}`, `opening a store of one blob on a device of ${words}, after a kill`, bytes, recover),
  compared(`check-${name}`, `checking that store on a device of ${words}`, bytes, check),
]);

function compared(name: string, operation: string, sizeBytes: number, work: Work): Benchmark {
  return {
    name,
    operation,
    baseline: 'on 1 GiB',
    schedule: { rounds: 11, roundMs: 50, warmupMs: 200 },
    prepare: (scale) => prepare(sized(scale, sizeBytes, 4 * GIB), work),
  };
}

function prepare(sizeBytes: number, work: Work): Workload {
  return {
    operationsPerCall: 1,
    subject: sideOf(killedStore(sizeBytes), work),
    baseline: sideOf(killedStore(GIB), work),
  };
}

function sideOf(device: BlockDevice, work: Work): Side {
  return { run: () => work(device) };
}

function killedStore(sizeBytes: number): BlockDevice {
  const { device, store } = newStore(new SparseMemoryDevice({ sizeBytes }), {});
  runSync(store.closeBlob(newBlob(store, { clusterCount: 1 })));
  runSync(store.abandon());
  return device;
}

/** Loads the store, which recovers it, and abandons it again, so that the next call does the same work. */
function recover(device: BlockDevice): number {
  const store = runSync(Blobstore.load(device));
  const found = store.blobIds().length;
  runSync(store.abandon());
  if (found !== 1) throw new Error(`the store has ${found} blobs instead of 1`);
  return found;
}

function check(device: BlockDevice): number {
  const { outcome } = runSync(checkStore(device));
  if (outcome !== 'clean') throw new Error(`the outcome of the check is '${outcome}' instead of 'clean'`);
  return outcome.length;
}
