/**
 * Opening a store of 10,000 blobs, each with one cluster, an xattr and an extent page. The store was unloaded cleanly,
 * or it was abandoned; then recovery finds the used pages and clusters by reading the metadata pages. On a file, the
 * file is in the page cache.
 */

import { Blobstore, type BlockDevice, runSync } from '@blobyard/core';
import { MemoryDevice } from '@blobyard/io';
import {
  type Benchmark,
  type QuotedBaseline,
  type Scale,
  spdkMilliseconds,
  type Target,
  type Workload,
} from '../benchmark.js';
import { KIB, MIB, newFileDevice, newStore, sized, temporaryFile } from '../fixtures.js';

const BLOBS = 10_000;
const BLOBS_SMOKE = 100;
const CLUSTER_BYTES = 16 * KIB;
const PAGE_BYTES = 4 * KIB;
/** Two pages for each blob, its first page and its extent page, and a few free pages. */
const PAGES_PER_BLOB = 2.1;

interface Load {
  readonly name: string;
  readonly operation: string;
  readonly medium: 'memory' | 'file';
  readonly isClean: boolean;
  readonly baseline?: QuotedBaseline;
  readonly target?: Target;
}

const CLEAN = 'loading a cleanly unloaded store of 10,000 blobs';
const RECOVERY = 'recovering an abandoned store of 10,000 blobs';

export const LOADS: readonly Benchmark[] = [
  loadBenchmark({
    name: 'load-clean-10000-memory',
    operation: `${CLEAN}, in memory`,
    medium: 'memory',
    isClean: true,
    baseline: spdkMilliseconds(31),
  }),
  loadBenchmark({
    name: 'recover-10000-memory',
    operation: `${RECOVERY}, in memory`,
    medium: 'memory',
    isClean: false,
    baseline: spdkMilliseconds(50),
  }),
  loadBenchmark({ name: 'load-clean-10000-file', operation: `${CLEAN}, on a file`, medium: 'file', isClean: true }),
  loadBenchmark({
    name: 'recover-10000-file',
    operation: `${RECOVERY}, on a file`,
    medium: 'file',
    isClean: false,
    target: { millisecondsMax: 1000 },
  }),
];

function loadBenchmark({ name, operation, medium, isClean, baseline, target }: Load): Benchmark {
  return { name, operation, baseline, target, prepare: (scale) => prepare(scale, medium, isClean) };
}

function prepare(scale: Scale, medium: 'memory' | 'file', isClean: boolean): Workload {
  const blobs = sized(scale, BLOBS, BLOBS_SMOKE);
  const mdPageCount = Math.ceil(blobs * PAGES_PER_BLOB);
  const sizeBytes = blobs * CLUSTER_BYTES + mdPageCount * PAGE_BYTES + 16 * MIB;
  const file = medium === 'file' ? temporaryFile() : undefined;
  const device = file ? newFileDevice(file, sizeBytes) : MemoryDevice.create({ sizeBytes });
  makeBlobs(device, blobs, mdPageCount, isClean);
  const dispose = () => {
    void device.close();
    file?.dispose();
  };
  return { operationsPerCall: 1, subject: loadSide(device, blobs), dispose };
}

/** Creates a store of blobs on a device, without write barriers: they would take minutes, and are not measured here. */
function makeBlobs(device: BlockDevice, blobs: number, mdPageCount: number, isClean: boolean): void {
  const { store } = newStore(device, { clusterBytes: CLUSTER_BYTES, mdPageCount, durability: 'process-crash' });
  for (let count = 0; count < blobs; count++) {
    const name = new TextEncoder().encode(`blob ${count}`);
    runSync(store.createBlob({ clusterCount: 1, xattrs: { name } }));
  }
  runSync(isClean ? store.unload() : store.abandon());
}

/** Loads the store again and again. Each time it is abandoned, so that the next load does the same work. */
function loadSide(device: BlockDevice, blobs: number) {
  let store: Blobstore | undefined;
  const run = () => {
    store = runSync(Blobstore.load(device));
    return store.freeClusterCount;
  };
  const after = () => {
    if (!store) return;
    if (store.damaged.length > 0 || store.blobIds().length !== blobs) throw new Error('blobs are missing or damaged');
    runSync(store.abandon());
  };
  return { run, after };
}
