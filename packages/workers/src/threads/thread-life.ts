/**
 * Whether a thread still lives. A thread that is terminated, or runs out of memory, cannot say goodbye, and Node tells only
 * the thread that started it. Linux lists the threads of a process: by its number and the time at which it began a thread is
 * known for good. Elsewhere nothing is known, and threads are taken to live until they say that they leave.
 */

import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
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
    return sinceOf(readFileSync(`${entriesOf(thread)}/stat`, 'latin1')) === thread.since;
  } catch (error) {
    return !isGone(error);
  }
}

/**
 * Answers again and again whether a thread lives, at a quarter of the cost: by an entry of the system's list that it keeps open.
 * Such an entry is of one thread, and not of a later one with its number. The thread that makes it uses it, and closes it.
 */
export class ThreadProbe {
  readonly #thread: ThreadIdentity;
  readonly #byte = new Uint8Array(1);
  #entry: number | undefined;
  #isDead = false;

  constructor(thread: ThreadIdentity) {
    this.#thread = thread;
  }

  /** False when the thread has certainly ended. */
  isAlive(): boolean {
    if (this.#isDead || this.#thread.id === 0) return !this.#isDead;
    try {
      if (this.#entry === undefined) this.#isDead = !this.#open();
      else readSync(this.#entry, this.#byte, 0, 1, 0);
    } catch (error) {
      this.#isDead = isGone(error);
    }
    return !this.#isDead;
  }

  close(): void {
    if (this.#entry !== undefined) closeSync(this.#entry);
    this.#entry = undefined;
  }

  /** First the entry, then a look whose it is: both are the thread's, or it is dead. */
  #open(): boolean {
    this.#entry = openSync(`${entriesOf(this.#thread)}/comm`, 'r');
    return isAlive(this.#thread);
  }
}

function entriesOf({ id }: ThreadIdentity): string {
  return `/proc/self/task/${id}`;
}

/** With too many files open, for one, nothing is known. */
function isGone(error: unknown): boolean {
  const { code } = error as { code?: string };
  return code === 'ENOENT' || code === 'ESRCH';
}

/** When a thread began, in ticks, in 31 bits: enough to tell two threads with one number apart. */
function sinceOf(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[SINCE_FIELD]) & 0x7fff_ffff;
}
