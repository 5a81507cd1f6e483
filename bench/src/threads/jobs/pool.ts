/** Saturates an I/O worker with reads. This thread opens the store of the worker, in memory. */

import { newGround } from '../ground.js';
import { transferInFlight } from '../in-flight.js';
import type { Job } from '../job.js';
import { BLOCK_BYTES, TransferPlan } from '../transfer-plan.js';

const IN_FLIGHT = 32;

export async function poolJob(isSmoke: boolean): Promise<Job> {
  const { store, blob, regionBytes, dispose } = await newGround(isSmoke ? 'smoke' : 'full', 'memory', 1);
  const plan = new TransferPlan({ mix: 'read', transferBytes: BLOCK_BYTES, regionBytes, isRandom: true });
  const buffers = Array.from({ length: IN_FLIGHT }, () => store.allocate(BLOCK_BYTES));
  const run: Job['run'] = (share) => transferInFlight(plan, buffers, share, blob);
  return { run, close: dispose };
}
