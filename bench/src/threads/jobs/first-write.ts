/** First writes to the clusters of a thin blob by an attached thread, one at a time. */

import { attach, type Blob, type StoreHandle } from '@blobyard/workers';
import { forEachOperation, type Job } from '../job.js';
import { BLOCK_BYTES, stampBlocks } from '../transfer-plan.js';

export async function firstWriteJob(handle: StoreHandle, clusterBytes: number): Promise<Job> {
  const store = await attach(handle);
  const buffer = store.allocate(BLOCK_BYTES);
  let blob: Blob | undefined;
  const begin = (blobId: bigint) => {
    blob = store.openSync(blobId);
  };
  const run: Job['run'] = (share) => {
    let sum = 0;
    forEachOperation(share, (operation) => {
      const offset = (operation % share.operations) * clusterBytes;
      stampBlocks(buffer, offset);
      blob?.writeSync(buffer, offset);
      sum = (sum + offset) | 0;
    });
    return sum;
  };
  const end = async () => {
    await blob?.close();
    return undefined;
  };
  return { begin, run, end, close: () => store.close() };
}
