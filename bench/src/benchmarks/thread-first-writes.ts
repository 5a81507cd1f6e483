/**
 * First writes to the clusters of a thin blob by threads other than the metadata thread, which inserts each cluster
 * into the cluster map. In memory, with clusters of 64 KiB. Every call begins with a new blob, and verifies it
 * afterwards.
 */

import { MemoryDevice } from '@blobyard/io';
import { type Blob, createStore, type Store } from '@blobyard/workers';
import { type Benchmark, type Scale, type Side, spdkPerSecond, type Workload } from '../benchmark.js';
import { KIB, MIB, sized } from '../fixtures.js';
import { Team } from '../threads/team.js';
import { BLOCK_BYTES, stampBlocks, wordsOf } from '../threads/transfer-plan.js';

const CLUSTER_BYTES = 64 * KIB;
const CLUSTERS = 1024;
const CLUSTERS_SMOKE = 32;
const IN_FLIGHT = 32;

export const THREAD_FIRST_WRITES: readonly Benchmark[] = [
  {
    name: 'first-write-attached',
    operation: 'first write of 4 KiB to a cluster of a thin blob, by an attached thread, one after another',
    baseline: spdkPerSecond(440_000),
    target: { perSecondMin: 15_000 },
    isAsync: true,
    prepare: prepareAttached,
  },
  {
    name: 'first-write-pool',
    operation: `the same through 1 I/O worker, ${IN_FLIGHT} in flight`,
    baseline: spdkPerSecond(440_000),
    target: { perSecondMin: 50_000 },
    isAsync: true,
    prepare: (scale) => preparePool(scale, 1),
  },
  {
    name: 'first-write-pool-2-threads',
    operation: `the same through 2 I/O workers, ${IN_FLIGHT} in flight`,
    baseline: spdkPerSecond(440_000),
    isAsync: true,
    prepare: (scale) => preparePool(scale, 2),
  },
];

async function newStore(clusters: number, threads: number): Promise<Store> {
  const device = MemoryDevice.create({ sizeBytes: 2 * clusters * CLUSTER_BYTES + 16 * MIB });
  return createStore({ device, clusterSizeBytes: CLUSTER_BYTES, clearMethod: 'none', threads });
}

async function prepareAttached(scale: Scale): Promise<Workload> {
  const clusters = sized(scale, CLUSTERS, CLUSTERS_SMOKE);
  const store = await newStore(clusters, 1);
  const team = await Team.start(1, [{ kind: 'first-write', handle: store.share(), clusterBytes: CLUSTER_BYTES }]);
  let milliseconds = 0;
  const write = async (blob: Blob) => {
    const result = await team.run({ job: 0, operations: clusters, chunk: clusters, argument: blob.id });
    milliseconds = result.milliseconds;
    return result.sum;
  };
  const dispose = async () => {
    await team.stop();
    await store.close();
  };
  const subject = { ...writeSide(store, clusters, write), lastMilliseconds: () => milliseconds };
  return { operationsPerCall: clusters, subject, dispose };
}

async function preparePool(scale: Scale, threads: number): Promise<Workload> {
  const clusters = sized(scale, CLUSTERS, CLUSTERS_SMOKE);
  const store = await newStore(clusters, threads);
  const buffers = Array.from({ length: IN_FLIGHT }, () => store.allocate(BLOCK_BYTES));
  const write = async (blob: Blob) => {
    let next = 0;
    let sum = 0;
    const oneAfterAnother = async (buffer: Uint8Array) => {
      while (next < clusters) {
        const offset = next++ * CLUSTER_BYTES;
        stampBlocks(buffer, offset);
        await blob.write(buffer, offset);
        sum = (sum + offset) | 0;
      }
    };
    await Promise.all(buffers.map(oneAfterAnother));
    return sum;
  };
  return { operationsPerCall: clusters, subject: writeSide(store, clusters, write), dispose: () => store.close() };
}

function writeSide(store: Store, clusters: number, write: (blob: Blob) => Promise<number>): Side {
  let blob: Blob | undefined;
  return {
    before: async () => {
      blob = await store.create({ sizeBytes: clusters * CLUSTER_BYTES, thin: true });
    },
    run: () => write(blob as Blob),
    after: async () => {
      const { id } = blob as Blob;
      await verify(blob as Blob, clusters);
      await blob?.close();
      await store.delete(id);
    },
  };
}

/** Throws unless every cluster begins with its stamp, and all clusters are allocated. */
async function verify(blob: Blob, clusters: number): Promise<void> {
  const expected = new Uint8Array(BLOCK_BYTES);
  const found = new Uint8Array(BLOCK_BYTES);
  for (let cluster = 0; cluster < clusters; cluster++) {
    const offset = cluster * CLUSTER_BYTES;
    stampBlocks(expected, offset);
    blob.readSync(offset, found);
    if (wordsOf(found)[0] !== wordsOf(expected)[0]) throw new Error(`a write to byte ${offset} is lost`);
  }
  const { allocatedBytes } = await blob.info();
  if (allocatedBytes !== clusters * CLUSTER_BYTES)
    throw new Error(`${allocatedBytes} bytes are allocated instead of ${clusters * CLUSTER_BYTES}`);
}
