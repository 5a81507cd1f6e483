/** Takes and releases the used lock once for each operation, around the increment of one word. */

import { threadId } from 'node:worker_threads';
import { UsedLock } from '@blobyard/core';
import type { Job } from '../job.js';

/** Index of the word that the lock guards; on another cache line than the lock. */
export const GUARDED = 512;

export function lockJob(memory: SharedArrayBuffer): Job {
  const words = new Int32Array(memory);
  const lock = new UsedLock(words, threadId);
  let taken = 0;
  const run: Job['run'] = ({ operations }) => {
    taken = 0;
    for (;;) {
      lock.acquire();
      const count = words[GUARDED];
      if (count < operations) words[GUARDED] = count + 1;
      lock.release();
      if (count >= operations) return taken;
      taken++;
    }
  };
  return { run, end: () => ({ taken }), close: () => undefined };
}
