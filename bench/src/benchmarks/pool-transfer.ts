/**
 * Transfers of the main thread through the I/O workers of a store, with several in flight. The baseline moves the same
 * bytes by Node's own functions, or through another store with one I/O worker.
 */

import fs from 'node:fs';
import { open } from 'node:fs/promises';
import type { Benchmark, CurvePoint, Scale, Side, Target, Workload } from '../benchmark.js';
import { KIB, MIB, sized } from '../fixtures.js';
import { ProcessorMeter } from '../processor-time.js';
import { type Ground, type Medium, newGround } from '../threads/ground.js';
import { callbacksInFlight, transferInFlight, wholeShare } from '../threads/in-flight.js';
import type { Job, Share } from '../threads/job.js';
import { bareJob } from '../threads/jobs/bare.js';
import { type Mix, TransferPlan, type TransferWork } from '../threads/transfer-plan.js';

const CALL_BYTES = 16 * MIB;
const OPERATIONS_MIN = 64;
const OPERATIONS_SMOKE = 64;

interface PoolTransfer {
  readonly name: string;
  readonly mix: Mix;
  readonly transferBytes: number;
  readonly isRandom: boolean;
  readonly medium: Medium;
  readonly threads: number;
  readonly inFlight: number;
  /** Buffers from `store.allocate`, or in plain memory. */
  readonly buffer: 'shared' | 'plain';
  readonly baseline: 'FileHandle' | 'callbacks' | 'Buffer.copy' | 'one thread' | undefined;
  readonly target?: Target;
  readonly curvePoint?: CurvePoint;
}

/** Executes the operations of a share. Returns their checksum. */
type Run = (share: Share) => number | Promise<number>;

interface Means {
  readonly run: Run;
  readonly close?: () => void | Promise<void>;
}

export function poolTransfer(transfer: PoolTransfer): Benchmark {
  const { name, mix, transferBytes, isRandom, medium, threads, inFlight, buffer, target, curvePoint } = transfer;
  const order = isRandom ? 'random' : 'sequential';
  const mixed = mix === 'mixed' ? 'read (70 %) or write (30 %)' : mix;
  const workers = threads === 1 ? '1 I/O worker' : `${threads} I/O workers`;
  return {
    name,
    operation: `${mixed} of ${transferBytes / KIB} KiB, ${order}, ${medium}, ${buffer} buffers, ${inFlight} in flight, ${workers}`,
    baseline: baselineText(transfer),
    bytesPerOperation: target && 'perSecondMin' in target ? undefined : transferBytes,
    target,
    curvePoint,
    isAsync: true,
    prepare: (scale) => prepare(transfer, scale),
  };
}

function baselineText({ baseline, mix }: PoolTransfer): string | undefined {
  const call = mix === 'mixed' ? '…' : mix;
  if (baseline === 'FileHandle') return `FileHandle.${call}`;
  if (baseline === 'callbacks') return `fs.${call} (callback)`;
  return baseline === 'one thread' ? '1 I/O worker' : baseline;
}

async function prepare(transfer: PoolTransfer, scale: Scale): Promise<Workload> {
  const { mix, transferBytes, isRandom, medium, threads } = transfer;
  const ground = await newGround(scale, medium, threads);
  const work: TransferWork = { mix, transferBytes, isRandom, regionBytes: ground.regionBytes };
  const full = Math.max(CALL_BYTES / transferBytes, OPERATIONS_MIN);
  const operations = sized(scale, full, OPERATIONS_SMOKE);
  const subject = throughPool(transfer, work, ground);
  const baseline = await baselineOf(transfer, scale, work, ground);
  const [used, usedByBaseline] = [new ProcessorMeter(), new ProcessorMeter()];
  return {
    operationsPerCall: operations,
    subject: sideOf(subject.run, operations, used),
    baseline: baseline && sideOf(baseline.run, operations, usedByBaseline),
    sidesAgree: true,
    figures: () => ({ ...used.figures('subject'), ...(baseline && usedByBaseline.figures('baseline')) }),
    dispose: async () => {
      await baseline?.close?.();
      await ground.dispose();
    },
  };
}

/** Counts the calls of each side separately, so that the checks of both sides execute the same operations. */
function sideOf(run: Run, operations: number, meter: ProcessorMeter): Side {
  let call = 0;
  return { run: () => meter.measure(operations, () => run(wholeShare(operations, call++))) };
}

function throughPool({ inFlight, buffer, transferBytes }: PoolTransfer, work: TransferWork, ground: Ground): Means {
  const plan = new TransferPlan(work);
  const make = () => (buffer === 'shared' ? ground.store.allocate(transferBytes) : new Uint8Array(transferBytes));
  const buffers = Array.from({ length: inFlight }, make);
  return { run: (share) => transferInFlight(plan, buffers, share, ground.blob) };
}

async function baselineOf(
  transfer: PoolTransfer,
  scale: Scale,
  work: TransferWork,
  ground: Ground,
): Promise<Means | undefined> {
  const { bare } = ground;
  switch (transfer.baseline) {
    case 'FileHandle':
      return byFileHandle(transfer, work, bare.path ?? '', bare.start);
    case 'callbacks':
      return byCallbacks(transfer, work, bare.path ?? '', bare.start);
    case 'Buffer.copy': {
      const job: Job = bareJob(bare, work);
      return { run: (share) => job.run(share) };
    }
    case 'one thread': {
      const other = await newGround(scale, transfer.medium, 1);
      return { ...throughPool(transfer, work, other), close: () => other.dispose() };
    }
    case undefined:
      return undefined;
  }
}

async function byFileHandle(transfer: PoolTransfer, work: TransferWork, path: string, start: number): Promise<Means> {
  const file = await open(path, 'r+');
  const plan = new TransferPlan(work);
  const buffers = Array.from({ length: transfer.inFlight }, () => new Uint8Array(work.transferBytes));
  const mover = {
    read: (offset: number, into: Uint8Array) => file.read(into, 0, into.length, start + offset),
    write: (data: Uint8Array, offset: number) => file.write(data, 0, data.length, start + offset),
  };
  return { run: (share) => transferInFlight(plan, buffers, share, mover), close: () => file.close() };
}

function byCallbacks(transfer: PoolTransfer, work: TransferWork, path: string, start: number): Means {
  const fd = fs.openSync(path, 'r+');
  const plan = new TransferPlan(work);
  const buffers = Array.from({ length: transfer.inFlight }, () => new Uint8Array(work.transferBytes));
  return { run: (share) => callbacksInFlight(plan, buffers, share, fd, start), close: () => fs.closeSync(fd) };
}
