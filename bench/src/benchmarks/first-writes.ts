/**
 * The first write to each cluster: of a thin blob, where it allocates the cluster, and of a clone, where it also copies
 * the snapshot's cluster. In memory and on a file, with clusters of 64 KiB. When a call begins, the blob has no
 * clusters of its own.
 */

import { type Blob, type BlockDevice, runSync } from '@blobyard/core';
import { allocateAligned, type MemoryDevice } from '@blobyard/io';
import type { Benchmark, Scale, Side, Workload } from '../benchmark.js';
import {
  KIB,
  MIB,
  newBlob,
  newFileDevice,
  newMemoryStore,
  newStore,
  type OpenStore,
  sized,
  temporaryFile,
} from '../fixtures.js';
import { CHECKSUM_START, fillRandomly, fold, randomIndices } from '../random.js';

const CLUSTER_BYTES = 64 * KIB;
const WRITE_BYTES = 4 * KIB;
const BLOCKS_PER_CLUSTER = CLUSTER_BYTES / WRITE_BYTES;
const CLUSTERS = 512;
const CLUSTERS_SMOKE = 32;

type Durability = 'power-loss' | 'process-crash';

export const FIRST_WRITES: readonly Benchmark[] = [
  {
    name: 'first-write-thin',
    operation: 'first write of 4 KiB to a cluster of a thin blob; its cluster map is written by a later sync',
    baseline: 'same writes again',
    prepare: (scale) => prepareThin(scale, 'power-loss'),
  },
  {
    name: 'first-write-thin-through',
    operation: "as first-write-thin, with durability 'process-crash': each writes the map",
    baseline: 'same writes again',
    prepare: (scale) => prepareThin(scale, 'process-crash'),
  },
  {
    name: 'first-write-file',
    operation: 'as first-write-thin, on a file: each write is in the insertion log, so that it survives the process',
    baseline: 'same writes without the log',
    target: { ratioMin: 0.6 },
    prepare: prepareFile,
  },
  {
    name: 'first-write-cow',
    operation: 'first write of 4 KiB to a cluster of a clone: copies 64 KiB',
    baseline: 'Buffer.copy of 64 + 4 KiB',
    prepare: prepareClone,
  },
];

/** A store with room for the clusters of a blob and of its clone. */
function storeFor(clusters: number, durability: Durability): OpenStore {
  return newMemoryStore(2 * clusters * CLUSTER_BYTES + 16 * MIB, { clusterBytes: CLUSTER_BYTES, durability });
}

function prepareThin(scale: Scale, durability: Durability): Workload {
  const clusters = sized(scale, CLUSTERS, CLUSTERS_SMOKE);
  const open = storeFor(clusters, durability);
  const { store } = open;
  let blob: Blob | undefined;
  const before = () => {
    blob = newBlob(store, { thin: true, clusterCount: clusters });
  };
  const after = () => {
    if (blob) closeAndDelete(open, blob);
  };
  const rewritten = newBlob(store, { clusterCount: clusters });
  const subject = writeSide(open, clusters, () => blob as Blob);
  return {
    operationsPerCall: clusters,
    subject: { ...subject, before, after },
    baseline: writeSide(open, clusters, () => rewritten),
    sidesAgree: true,
  };
}

function prepareFile(scale: Scale): Workload {
  const clusters = sized(scale, CLUSTERS, CLUSTERS_SMOKE);
  const noting = fileSide(clusters, (device) => device);
  const forgetting = fileSide(clusters, withoutOwner);
  const dispose = () => {
    noting.dispose();
    forgetting.dispose();
  };
  return { operationsPerCall: clusters, subject: noting.side, baseline: forgetting.side, sidesAgree: true, dispose };
}

function fileSide(clusters: number, change: (device: BlockDevice) => BlockDevice): { side: Side; dispose: () => void } {
  const file = temporaryFile();
  const device = change(newFileDevice(file, 2 * clusters * CLUSTER_BYTES + 16 * MIB));
  const open = newStore(device, { clusterBytes: CLUSTER_BYTES });
  let blob: Blob | undefined;
  const side = {
    ...writeSide(open, clusters, () => blob as Blob, allocateAligned(WRITE_BYTES)),
    before: () => {
      blob = newBlob(open.store, { thin: true, clusterCount: clusters });
    },
    after: () => {
      if (blob) closeAndDelete(open, blob);
    },
  };
  const dispose = () => {
    runSync(open.store.abandon());
    void device.close();
    file.dispose();
  };
  return { side, dispose };
}

/**
 * The device as if its cache ended with the process (`cacheOwner` is `process`): the store then has no insertion log,
 * since no unflushed write would survive the process.
 */
function withoutOwner(device: BlockDevice): BlockDevice {
  return {
    blockLengthBytes: device.blockLengthBytes,
    get blockCount() {
      return device.blockCount;
    },
    synchronous: true,
    canCopy: false,
    cacheOwner: 'process',
    openChannel: () => device.openChannel(),
    close: () => device.close(),
  };
}

function prepareClone(scale: Scale): Workload {
  const clusters = sized(scale, CLUSTERS, CLUSTERS_SMOKE);
  const open = storeFor(clusters, 'power-loss');
  const { store, channel } = open;
  const original = newBlob(store, { clusterCount: clusters });
  const content = new Uint8Array(CLUSTER_BYTES);
  for (let cluster = 0; cluster < clusters; cluster++) {
    fillRandomly(content, cluster + 1);
    channel.writeSync(original, content, cluster * BLOCKS_PER_CLUSTER, BLOCKS_PER_CLUSTER);
  }
  const snapshot = runSync(store.createSnapshot(original.id));
  let clone: Blob | undefined;
  const before = () => {
    clone = runSync(store.openBlob(runSync(store.createClone(snapshot))));
  };
  const after = () => {
    if (clone) closeAndDelete(open, clone);
  };
  const subject = writeSide(open, clusters, () => clone as Blob);
  return {
    operationsPerCall: clusters,
    subject: { ...subject, before, after },
    baseline: bareCopies(clusters),
  };
}

function closeAndDelete({ store }: OpenStore, blob: Blob): void {
  const { id } = blob;
  runSync(store.closeBlob(blob));
  runSync(store.deleteBlob(id));
}

/** Writes one block of each cluster, in order, and reads the last one back with the blocks around it. */
function writeSide(
  { channel, device }: OpenStore,
  clusters: number,
  blobNow: () => Blob,
  buffer = (device as MemoryDevice).allocateBuffer(WRITE_BYTES),
): Side {
  fillRandomly(buffer);
  const within = randomIndices(clusters, BLOCKS_PER_CLUSTER);
  const run = () => {
    const blob = blobNow();
    for (let cluster = 0; cluster < clusters; cluster++) {
      channel.writeSync(blob, buffer, cluster * BLOCKS_PER_CLUSTER + within[cluster], 1);
    }
    channel.readSync(blob, buffer, (clusters - 1) * BLOCKS_PER_CLUSTER + within[clusters - 1], 1);
    return fold(CHECKSUM_START, buffer[0]);
  };
  return { run };
}

/** The copies of a copy-on-write without the engine, from one half of a shared memory to the other. */
function bareCopies(clusters: number): Side {
  const half = clusters * CLUSTER_BYTES;
  const memory = Buffer.from(new SharedArrayBuffer(2 * half));
  fillRandomly(memory.subarray(0, half));
  const run = () => {
    for (let cluster = 0; cluster < clusters; cluster++) {
      const at = cluster * CLUSTER_BYTES;
      memory.copy(memory, half + at, at, at + CLUSTER_BYTES);
      memory.copy(memory, half + at, at, at + WRITE_BYTES);
    }
    return memory[2 * half - 1];
  };
  return { run };
}
