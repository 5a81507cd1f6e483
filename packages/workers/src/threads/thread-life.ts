/**
 * Whether a thread still lives. A thread that is terminated, or runs out of memory, cannot say goodbye, and Node tells only
 * the thread that started it. Linux lists the threads of a process: by its number and the time at which it began a thread is
 * known for good. Elsewhere nothing is known, and threads are taken to live until they say that they leave.
 */

import { readFileSync } from 'node:fs';
import type { ThreadIdentity } from '@blobyard/core';

const UNKNOWN: ThreadIdentity = { id: 0, since: 0 };
/** Fields of a thread's `stat` after its name, which is in parentheses and can hold anything. */
const SINCE_FIELD = 19;

/** The calling thread, for others to ask after. */
export function thisThread(): ThreadIdentity {
  try {
    const stat = readFileSync('/proc/thread-self/stat', 'latin1');
    return { id: Number.parseInt(stat, 10), since: sinceOf(stat) };
  } catch {
    return UNKNOWN;
  }
}

/** False when a thread of this process has certainly ended. */
export function isAlive(thread: ThreadIdentity): boolean {
  if (thread.id === 0) return true;
  try {
    return sinceOf(readFileSync(`/proc/self/task/${thread.id}/stat`, 'latin1')) === thread.since;
  } catch (error) {
    const { code } = error as { code?: string };
    return code !== 'ENOENT' && code !== 'ESRCH'; // with too many files open, for one, nothing is known
  }
}

/** When a thread began, in ticks, in 31 bits: enough to tell two threads with one number apart. */
function sinceOf(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[SINCE_FIELD]) & 0x7fff_ffff;
}
