/** Transfers that an attached thread executes itself. */

import { attach, type StoreHandle } from '@blobyard/workers';
import { forEachOperation, type Job } from '../job.js';
import { TransferPlan, type TransferWork, wordsOf } from '../transfer-plan.js';

export async function attachedJob(handle: StoreHandle, blobId: bigint, work: TransferWork): Promise<Job> {
  const store = await attach(handle);
  const blob = store.openSync(blobId);
  const plan = new TransferPlan(work);
  const buffer = store.allocate(work.transferBytes);
  const words = wordsOf(buffer);
  let longest = 0;
  /** True in calls that also measure the longest pause between transfers. */
  let isWatched = false;
  const transfer = (operation: number): number => {
    const offset = plan.offsetOf(operation);
    if (plan.isWrite(operation)) {
      plan.stamp(words, offset);
      blob.writeSync(buffer, offset);
    } else blob.readSync(offset, buffer);
    return plan.check(words, offset);
  };
  const begin = (argument: bigint) => {
    isWatched = argument !== 0n;
    longest = 0;
  };
  const run: Job['run'] = (share) => {
    let sum = 0;
    let last = performance.now();
    forEachOperation(share, (operation) => {
      sum = (sum + transfer(operation)) | 0;
      if (!isWatched) return;
      const now = performance.now();
      if (now - last > longest) longest = now - last;
      last = now;
    });
    return sum;
  };
  return { begin, run, end: () => (isWatched ? { longestMs: longest } : undefined), close: () => store.close() };
}
