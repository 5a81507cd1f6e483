/**
 * The delay of the main thread's event loop while threads use stores: the 99th percentile of the delay of its timers,
 * compared with that of an idle loop. Here an "operation" is one sample, and its time is that percentile.
 */

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Benchmark, Scale, Side, Workload } from '../benchmark.js';
import { sized } from '../fixtures.js';
import { type Ground, newGround } from '../threads/ground.js';
import { transferInFlight, wholeShare } from '../threads/in-flight.js';
import type { JobSpec } from '../threads/job.js';
import { Team } from '../threads/team.js';
import { BLOCK_BYTES, TransferPlan } from '../threads/transfer-plan.js';

const SAMPLE_MS = 500;
const SAMPLE_MS_SMOKE = 30;
/** Time under load before a sample begins, in milliseconds. */
const LEAD_MS = 20;
const PERCENTILE = 99;
/** More operations than can be executed: the load runs until it is stopped. */
const WITHOUT_END = 2 ** 29;
const IN_FLIGHT = 32;
const SCHEDULE = { rounds: 9, roundMs: 0, warmupMs: 0 };
const BASELINE = 'idle';
const TARGET = { millisecondsMoreMax: 1 };

export const LOOP_DELAYS: readonly Benchmark[] = [
  {
    name: 'loop-delay-pool',
    operation: "the event loop's delay (p99) while another thread saturates an I/O worker of its store",
    baseline: BASELINE,
    target: TARGET,
    isAsync: true,
    schedule: SCHEDULE,
    prepare: (scale) => prepareTeam(scale, () => ({ kind: 'pool', isSmoke: scale === 'smoke' })),
  },
  {
    name: 'loop-delay-attached',
    operation: "the event loop's delay (p99) while an attached thread reads without a pause",
    baseline: BASELINE,
    target: TARGET,
    isAsync: true,
    schedule: SCHEDULE,
    prepare: (scale) => prepareTeam(scale, attachedSpec),
  },
  {
    name: 'loop-delay-client',
    operation: `the event loop's delay (p99) while this thread itself has ${IN_FLIGHT} reads in flight`,
    baseline: BASELINE,
    isAsync: true,
    schedule: SCHEDULE,
    prepare: prepareClient,
  },
];

/**
 * Moves data without a pause until `stop` is called. Then the promise of `start` resolves with the checksum of the
 * transfers; it is 0 if there were none.
 */
interface Load {
  start(): Promise<number>;
  stop(): void;
}

function attachedSpec({ store, blob, regionBytes }: Ground): JobSpec {
  const work = { mix: 'read', transferBytes: BLOCK_BYTES, regionBytes, isRandom: true } as const;
  return { kind: 'attached', handle: store.share(), blobId: blob.id, work };
}

async function prepareTeam(scale: Scale, specOf: (ground: Ground) => JobSpec): Promise<Workload> {
  const ground = await newGround(scale, 'memory', 1);
  const team = await Team.start(1, [specOf(ground)]);
  const load: Load = {
    start: async () => (await team.run({ job: 0, operations: WITHOUT_END })).sum,
    stop: () => team.halt(),
  };
  const dispose = async () => {
    await team.stop();
    await ground.dispose();
  };
  return delayWorkload(scale, load, dispose);
}

async function prepareClient(scale: Scale): Promise<Workload> {
  const ground = await newGround(scale, 'memory', 1);
  const { store, blob, regionBytes } = ground;
  const plan = new TransferPlan({ mix: 'read', transferBytes: BLOCK_BYTES, regionBytes, isRandom: true });
  const buffers = Array.from({ length: IN_FLIGHT }, () => store.allocate(BLOCK_BYTES));
  let isStopped = false;
  const start = () => {
    isStopped = false;
    let operation = 0;
    const share = { ...wholeShare(WITHOUT_END, 0), chunk: 1, take: () => (isStopped ? -1 : operation++) };
    return transferInFlight(plan, buffers, share, blob);
  };
  const stop = () => {
    isStopped = true;
  };
  return delayWorkload(scale, { start, stop }, () => ground.dispose());
}

function delayWorkload(scale: Scale, load: Load, dispose: () => Promise<void>): Workload {
  const sampleMs = sized(scale, SAMPLE_MS, SAMPLE_MS_SMOKE);
  const side = (under: Load | undefined): Side => {
    let delayMs = 0;
    const run = async () => {
      const ended = under?.start();
      await sleep(LEAD_MS);
      delayMs = await sample(sampleMs);
      under?.stop();
      if ((await ended) === 0) throw new Error('the load executed no operation');
      return 1;
    };
    return { run, lastMilliseconds: () => delayMs };
  };
  return { operationsPerCall: 1, subject: side(load), baseline: side(undefined), dispose };
}

async function sample(sampleMs: number): Promise<number> {
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  histogram.enable();
  await sleep(sampleMs);
  histogram.disable();
  return histogram.percentile(PERCENTILE) / 1e6;
}
