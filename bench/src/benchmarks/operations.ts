/** Metadata operations on a store in memory, one at a time on the calling thread, compared with SPDK in C. */

import { type Blobstore, runSync } from '@blobyard/core';
import { type Benchmark, type Scale, spdkPerSecond, type Workload } from '../benchmark.js';
import { KIB, MIB, newBlob, newMemoryStore, sized } from '../fixtures.js';
import { CHECKSUM_START, fold } from '../random.js';

const CLUSTER_BYTES = 64 * KIB;
/** The number of further blobs in the store. */
const OTHER_BLOBS = 1000;
const OTHER_BLOBS_SMOKE = 10;
const SNAPSHOT_CLUSTERS = 1000;
const SNAPSHOT_CLUSTERS_SMOKE = 20;
const NAMED = { xattrs: { name: new Uint8Array(16).fill(7) } };

export const OPERATIONS: readonly Benchmark[] = [
  {
    name: 'create-delete',
    operation: 'creating and deleting a blob of no clusters',
    baseline: spdkPerSecond(500_000),
    prepare: prepareCreateDelete,
  },
  {
    name: 'open-close',
    operation: 'opening and closing a blob of no clusters, with an xattr',
    baseline: spdkPerSecond(1_000_000),
    prepare: (scale) => prepareOpenClose(scale, 0),
  },
  {
    name: 'open-close-1000',
    operation: 'opening and closing a blob of 1000 clusters, on two extent pages',
    prepare: (scale) => prepareOpenClose(scale, sized(scale, SNAPSHOT_CLUSTERS, SNAPSHOT_CLUSTERS_SMOKE)),
  },
  {
    name: 'snapshot-delete-1000',
    operation: 'a snapshot of an open blob of 1000 clusters, and its deletion',
    baseline: spdkPerSecond(60_000),
    prepare: prepareSnapshot,
  },
];

function storeOf(scale: Scale, sizeBytes: number): Blobstore {
  const { store } = newMemoryStore(sizeBytes, { clusterBytes: CLUSTER_BYTES, mdPageCount: 4096 });
  const others = sized(scale, OTHER_BLOBS, OTHER_BLOBS_SMOKE);
  for (let count = 0; count < others; count++) runSync(store.createBlob(NAMED));
  return store;
}

function prepareCreateDelete(scale: Scale): Workload {
  const store = storeOf(scale, 32 * MIB);
  const operationsPerCall = sized(scale, 50, 5);
  const run = () => {
    let sum = CHECKSUM_START;
    for (let operation = 0; operation < operationsPerCall; operation++) {
      const id = runSync(store.createBlob());
      runSync(store.deleteBlob(id));
      sum = fold(sum, Number(id));
    }
    return sum;
  };
  return { operationsPerCall, subject: { run, digest: () => store.blobIds().length } };
}

function prepareOpenClose(scale: Scale, clusterCount: number): Workload {
  const store = storeOf(scale, 32 * MIB + clusterCount * CLUSTER_BYTES);
  const operationsPerCall = sized(scale, 100, 5);
  const id = runSync(store.createBlob({ clusterCount, ...NAMED }));
  const run = () => {
    let sum = CHECKSUM_START;
    for (let operation = 0; operation < operationsPerCall; operation++) {
      const blob = runSync(store.openBlob(id));
      sum = fold(sum, blob.clusterCount + blob.page);
      runSync(store.closeBlob(blob));
    }
    return sum;
  };
  return { operationsPerCall, subject: { run } };
}

function prepareSnapshot(scale: Scale): Workload {
  const clusterCount = sized(scale, SNAPSHOT_CLUSTERS, SNAPSHOT_CLUSTERS_SMOKE);
  const store = storeOf(scale, 32 * MIB + clusterCount * CLUSTER_BYTES);
  const operationsPerCall = sized(scale, 10, 2);
  const blob = newBlob(store, { clusterCount, ...NAMED });
  const run = () => {
    let sum = CHECKSUM_START;
    for (let operation = 0; operation < operationsPerCall; operation++) {
      const snapshot = runSync(store.createSnapshot(blob.id));
      runSync(store.deleteBlob(snapshot));
      sum = fold(sum, Number(snapshot) + blob.clusterAt(clusterCount - 1));
    }
    return sum;
  };
  return { operationsPerCall, subject: { run, digest: () => store.blobIds().length } };
}
