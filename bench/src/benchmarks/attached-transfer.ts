/**
 * Transfers that attached threads execute themselves, on a store with a metadata thread. The baseline is either the
 * same transfers on the same threads without the engine, or the same transfers by one attached thread.
 */

import type { Benchmark, CurvePoint, Scale, Side, Target, Workload } from '../benchmark.js';
import { KIB, MIB, sized } from '../fixtures.js';
import { type Medium, newGround } from '../threads/ground.js';
import { Team } from '../threads/team.js';
import type { Mix, TransferWork } from '../threads/transfer-plan.js';

const CALL_BYTES = 32 * MIB;
const OPERATIONS_MIN = 64;
const OPERATIONS_SMOKE = 64;
const CHUNK_BYTES = 256 * KIB;
const SUBJECT_JOB = 0;
const BARE_JOB = 1;

interface AttachedTransfer {
  readonly name: string;
  readonly mix: Mix;
  readonly transferBytes: number;
  readonly isRandom: boolean;
  readonly medium: Medium;
  readonly threads: number;
  readonly baseline: 'bare' | 'one thread';
  readonly target?: Target;
  readonly curvePoint?: CurvePoint;
}

export function attachedTransfer(transfer: AttachedTransfer): Benchmark {
  const { name, mix, transferBytes, isRandom, medium, threads, baseline, target, curvePoint } = transfer;
  const order = isRandom ? 'random' : 'sequential';
  const bare = medium === 'memory' ? 'Buffer.copy' : mix === 'mixed' ? 'fs.…Sync' : `fs.${mix}Sync`;
  const who = threads === 1 ? 'an attached thread' : `${threads} attached threads`;
  const mixed = mix === 'mixed' ? 'read (70 %) or write (30 %)' : mix;
  return {
    name,
    operation: `${mixed} of ${transferBytes / KIB} KiB, ${order}, ${medium}, by ${who}`,
    baseline: baseline === 'bare' ? bare : '1 thread',
    bytesPerOperation: transferBytes,
    target,
    curvePoint,
    isAsync: true,
    prepare: (scale) => prepare(transfer, scale),
  };
}

async function prepare(transfer: AttachedTransfer, scale: Scale): Promise<Workload> {
  const { mix, transferBytes, isRandom, medium, threads, baseline } = transfer;
  const ground = await newGround(scale, medium, 1);
  const work: TransferWork = { mix, transferBytes, isRandom, regionBytes: ground.regionBytes };
  const team = await Team.start(threads, [
    { kind: 'attached', handle: ground.store.share(), blobId: ground.blob.id, work },
    { kind: 'bare', bare: ground.bare, work },
  ]);
  const full = Math.max(CALL_BYTES / transferBytes, OPERATIONS_MIN);
  const operations = sized(scale, full, OPERATIONS_SMOKE);
  const chunk = Math.max(1, CHUNK_BYTES / transferBytes);
  const side = (job: number, taking: number): Side => {
    let milliseconds = 0;
    const run = async () => {
      const result = await team.run({ job, operations, threads: taking, chunk });
      milliseconds = result.milliseconds;
      return result.sum;
    };
    return { run, lastMilliseconds: () => milliseconds };
  };
  return {
    operationsPerCall: operations,
    subject: side(SUBJECT_JOB, threads),
    baseline: baseline === 'bare' ? side(BARE_JOB, threads) : side(SUBJECT_JOB, 1),
    sidesAgree: baseline === 'bare',
    dispose: async () => {
      await team.stop();
      await ground.dispose();
    },
  };
}
