/**
 * The longest pause of writers while a snapshot of their blob is made under full load. The baseline is the longest
 * pause of the same load without a snapshot; on a busy machine it is not zero either. In memory, 10,000 clusters. Here
 * an "operation" is a snapshot, and its time is that pause. Blob and snapshot are verified after each call.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { MemoryDevice } from '@blobyard/io';
import { type Blob, createStore, type Store } from '@blobyard/workers';
import type { Benchmark, Scale, Side, Workload } from '../benchmark.js';
import { KIB, MIB, sized } from '../fixtures.js';
import { transferInFlight, wholeShare } from '../threads/in-flight.js';
import { Team } from '../threads/team.js';
import { BLOCK_BYTES, stampBlocks, TransferPlan, type TransferWork, wordsOf } from '../threads/transfer-plan.js';

const CLUSTER_BYTES = 16 * KIB;
const CLUSTERS = 10_000;
const CLUSTERS_SMOKE = 64;
/** The size of the part that is written, in bytes: the number of its blocks is a power of two (`TransferPlan`). */
const REGION_BYTES = 128 * MIB;
const REGION_BYTES_SMOKE = 512 * KIB;
const ATTACHED_THREADS = 2;
const IN_FLIGHT = 32;
/** Time under load before and after the snapshot, in milliseconds. */
const LEAD_MS = 50;
const LEAD_MS_SMOKE = 5;
const WITHOUT_END = 2 ** 29;
/** The argument that makes an attached thread measure its longest pause. */
const WATCHED = 1n;
const SCHEDULE = { rounds: 11, roundMs: 0, warmupMs: 0 };
const COMMON = {
  baseline: 'no snapshot',
  target: { millisecondsMax: 20 },
  isAsync: true,
  schedule: SCHEDULE,
} as const;

export const SNAPSHOT_PAUSES: readonly Benchmark[] = [
  {
    name: 'snapshot-pause-attached',
    operation: `longest pause in the writes of ${ATTACHED_THREADS} attached threads while a snapshot of their blob is made`,
    ...COMMON,
    prepare: prepareAttached,
  },
  {
    name: 'snapshot-pause-pool',
    operation: `longest time without a completed write, ${IN_FLIGHT} in flight, while a snapshot of their blob is made`,
    ...COMMON,
    prepare: preparePool,
  },
];

interface Ground {
  readonly store: Store;
  readonly blob: Blob;
  readonly work: TransferWork;
  readonly leadMs: number;
}

/** Writes until `stop` is called. Then the promise of `start` resolves with the longest pause in milliseconds. */
interface Load {
  start(): Promise<number>;
  stop(): void;
}

async function newGround(scale: Scale): Promise<Ground> {
  const clusters = sized(scale, CLUSTERS, CLUSTERS_SMOKE);
  const device = MemoryDevice.create({ sizeBytes: 2 * clusters * CLUSTER_BYTES + 32 * MIB });
  const store = await createStore({ device, clusterSizeBytes: CLUSTER_BYTES, clearMethod: 'none', threads: 1 });
  const blob = await store.create({ sizeBytes: clusters * CLUSTER_BYTES });
  const piece = store.allocate(CLUSTER_BYTES);
  for (let cluster = 0; cluster < clusters; cluster++) {
    stampBlocks(piece, cluster * CLUSTER_BYTES);
    blob.writeSync(piece, cluster * CLUSTER_BYTES);
  }
  const regionBytes = sized(scale, REGION_BYTES, REGION_BYTES_SMOKE);
  const work = { mix: 'write', transferBytes: BLOCK_BYTES, regionBytes, isRandom: true } as const;
  return { store, blob, work, leadMs: sized(scale, LEAD_MS, LEAD_MS_SMOKE) };
}

async function prepareAttached(scale: Scale): Promise<Workload> {
  const ground = await newGround(scale);
  const { store, blob, work } = ground;
  const team = await Team.start(ATTACHED_THREADS, [{ kind: 'attached', handle: store.share(), blobId: blob.id, work }]);
  const start = async () => {
    const { figures } = await team.run({ job: 0, operations: WITHOUT_END, argument: WATCHED });
    return Math.max(...figures.map(({ longestMs }) => longestMs));
  };
  return pauseWorkload(ground, { start, stop: () => team.halt() }, () => team.stop());
}

async function preparePool(scale: Scale): Promise<Workload> {
  const ground = await newGround(scale);
  const plan = new TransferPlan(ground.work);
  const buffers = Array.from({ length: IN_FLIGHT }, () => ground.store.allocate(BLOCK_BYTES));
  let isStopped = false;
  const start = async () => {
    isStopped = false;
    let operation = 0;
    const take = () => (isStopped ? -1 : operation++);
    const share = { ...wholeShare(WITHOUT_END, 0), chunk: 1, take };
    let longest = 0;
    let last = performance.now();
    await transferInFlight(plan, buffers, share, ground.blob, () => {
      const now = performance.now();
      if (now - last > longest) longest = now - last;
      last = now;
    });
    return longest;
  };
  const stop = () => {
    isStopped = true;
  };
  return pauseWorkload(ground, { start, stop }, async () => undefined);
}

function pauseWorkload(ground: Ground, load: Load, end: () => Promise<void>): Workload {
  const pauses: number[] = [];
  const side = (withSnapshot: boolean): Side => {
    let pauseMs = 0;
    let snapshot: Blob | undefined;
    const run = async () => {
      const ended = load.start();
      await sleep(ground.leadMs);
      if (withSnapshot) snapshot = await ground.blob.snapshot();
      await sleep(ground.leadMs);
      load.stop();
      pauseMs = await ended;
      if (withSnapshot) pauses.push(pauseMs);
      return withSnapshot ? 1 : 0;
    };
    const after = async () => {
      if (snapshot === undefined) return;
      verify(snapshot);
      verify(ground.blob);
      await snapshot.close();
      await ground.store.delete(snapshot.id);
      snapshot = undefined;
    };
    return { run, after, lastMilliseconds: () => pauseMs };
  };
  const dispose = async () => {
    await end();
    await ground.store.close();
  };
  const figures = () => ({ 'longest of all in ms': Math.max(...pauses) });
  return { operationsPerCall: 1, subject: side(true), baseline: side(false), figures, dispose };
}

/** Throws unless every block of a blob begins with its stamp. */
function verify(blob: Blob): void {
  const expected = new Uint8Array(CLUSTER_BYTES);
  const found = new Uint8Array(CLUSTER_BYTES);
  const words = wordsOf(found);
  for (let offset = 0; offset < blob.sizeBytes; offset += CLUSTER_BYTES) {
    stampBlocks(expected, offset);
    blob.readSync(offset, found);
    const wanted = wordsOf(expected);
    for (let at = 0; at < words.length; at += BLOCK_BYTES / 4) {
      if (words[at] !== wanted[at])
        throw new Error(`byte ${offset + at * 4} of blob ${blob.id} has the wrong contents`);
    }
  }
}
