/**
 * Metadata operations on a thin blob of 4 TiB, in which 64 clusters of 1 MiB are written. The baseline is a blob of 1
 * GiB with the same number of written clusters. A ratio near 1 means that the cost depends on what is written and not
 * on the size of the blob.
 */

import { type Blob, type Blobstore, runSync } from '@blobyard/core';
import { SparseMemoryDevice } from '@blobyard/io';
import type { Benchmark, Side } from '../benchmark.js';
import { GIB, MIB, newBlob, newStore, sized, TIB } from '../fixtures.js';
import { CHECKSUM_START, fold } from '../random.js';

const WRITTEN_CLUSTERS = 64;
const OPERATIONS = 10;
const OPERATIONS_SMOKE = 2;
const BLOCK_BYTES = 4096;

type Operation = (store: Blobstore, blob: Blob) => number;

export const BLOB_SIZES: readonly Benchmark[] = [
  compared(
    'snapshot-delete-4t',
    'a snapshot of a thin blob of 4 TiB with 64 clusters written, and its deletion',
    snapshot,
  ),
  compared('clone-delete-4t', 'a clone of a snapshot of that blob, and its deletion', clone),
  compared('create-delete-4t', 'creating and deleting a thin blob of 4 TiB', create),
];

function compared(name: string, operation: string, work: Operation): Benchmark {
  return {
    name,
    operation,
    baseline: 'of 1 GiB',
    prepare: (scale) => {
      const operationsPerCall = sized(scale, OPERATIONS, OPERATIONS_SMOKE);
      return {
        operationsPerCall,
        subject: sideOf(sized(scale, 4 * TIB, 4 * GIB), operationsPerCall, work),
        baseline: sideOf(GIB, operationsPerCall, work),
      };
    },
  };
}

function sideOf(blobBytes: number, operations: number, work: Operation): Side {
  const device = new SparseMemoryDevice({ sizeBytes: blobBytes + GIB });
  const { store, channel } = newStore(device, { clusterBytes: MIB, mdPageCount: 16_384 });
  const blob = newBlob(store, { clusterCount: blobBytes / MIB, thin: true });
  const data = new Uint8Array(BLOCK_BYTES).fill(1);
  for (let at = 0; at < WRITTEN_CLUSTERS; at++) channel.writeSync(blob, data, (at * MIB) / BLOCK_BYTES, 1);
  runSync(store.createSnapshot(blob.id));
  for (let at = 0; at < WRITTEN_CLUSTERS; at++) channel.writeSync(blob, data, (at * MIB) / BLOCK_BYTES, 1);
  runSync(store.flush());
  const run = () => {
    let sum = CHECKSUM_START;
    for (let operation = 0; operation < operations; operation++) sum = fold(sum, work(store, blob));
    return sum;
  };
  return { run };
}

function snapshot(store: Blobstore, blob: Blob): number {
  const id = runSync(store.createSnapshot(blob.id));
  runSync(store.deleteBlob(id));
  return Number(id);
}

function clone(store: Blobstore, blob: Blob): number {
  const id = runSync(store.createClone(blob.parentId));
  runSync(store.deleteBlob(id));
  return Number(id);
}

function create(store: Blobstore, { clusterCount }: Blob): number {
  const id = runSync(store.createBlob({ clusterCount, thin: true }));
  runSync(store.deleteBlob(id));
  return Number(id);
}
