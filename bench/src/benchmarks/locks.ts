/**
 * Taking and releasing the used lock around a minimal critical section: by one thread, and by two threads that contend
 * for the lock all the time.
 */

import { UsedLock } from '@blobyard/core';
import type { Benchmark, Scale, Side, Workload } from '../benchmark.js';
import { sized } from '../fixtures.js';
import { GUARDED } from '../threads/jobs/lock.js';
import { Team, type TeamResult } from '../threads/team.js';

const MEMORY_BYTES = 4096;
const OPERATIONS = 200_000;
const OPERATIONS_SMOKE = 500;
const WORD = 0;

export const LOCKS: readonly Benchmark[] = [
  {
    name: 'lock-uncontended',
    operation: 'taking and releasing the used lock',
    baseline: 'bare exchange',
    prepare: prepareUncontended,
  },
  {
    name: 'lock-contended',
    operation: 'the same by 2 threads at once; time per acquisition of either thread',
    baseline: 'by 1 thread',
    isAsync: true,
    prepare: prepareContended,
  },
];

function prepareUncontended(scale: Scale): Workload {
  const operations = sized(scale, OPERATIONS, OPERATIONS_SMOKE);
  const words = new Int32Array(new SharedArrayBuffer(MEMORY_BYTES));
  const lock = new UsedLock(words, 0);
  const run = () => {
    words[GUARDED] = 0;
    for (let operation = 0; operation < operations; operation++) {
      lock.acquire();
      words[GUARDED]++;
      lock.release();
    }
    return words[GUARDED];
  };
  const bare = () => {
    words[GUARDED] = 0;
    for (let operation = 0; operation < operations; operation++) {
      if (Atomics.compareExchange(words, WORD, 0, 1) !== 0)
        throw new Error('the lock word of the only thread is taken');
      words[GUARDED]++;
      Atomics.exchange(words, WORD, 0);
    }
    return words[GUARDED];
  };
  return { operationsPerCall: operations, subject: { run }, baseline: { run: bare }, sidesAgree: true };
}

async function prepareContended(scale: Scale): Promise<Workload> {
  const operations = sized(scale, OPERATIONS, OPERATIONS_SMOKE);
  const memory = new SharedArrayBuffer(MEMORY_BYTES);
  const words = new Int32Array(memory);
  const team = await Team.start(2, [{ kind: 'lock', words: memory }]);
  const shares: number[] = [];
  const side = (threads: number): Side => {
    let milliseconds = 0;
    const run = async () => {
      words[GUARDED] = 0;
      const result = await team.run({ job: 0, operations, threads });
      milliseconds = result.milliseconds;
      if (threads > 1) shares.push(leastShare(result, operations));
      if (words[GUARDED] !== operations)
        throw new Error(`the guarded word counts ${words[GUARDED]} of ${operations} acquisitions`);
      return result.sum;
    };
    return { run, lastMilliseconds: () => milliseconds };
  };
  const figures = () => ({
    'least share of a thread in all calls, %': Math.min(...shares) * 100,
    'on average, %': (shares.reduce((sum, share) => sum + share, 0) / shares.length) * 100,
  });
  const dispose = () => team.stop();
  return { operationsPerCall: operations, subject: side(2), baseline: side(1), sidesAgree: true, figures, dispose };
}

/** The smallest share of a thread in the acquisitions. With two threads and a fair lock it is one half. */
function leastShare({ figures }: TeamResult, operations: number): number {
  return Math.min(...figures.map(({ taken }) => taken)) / operations;
}
