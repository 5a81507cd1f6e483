/**
 * Finds out whether a thread is alive. A thread that is terminated, or runs out of memory, cannot report its end, and
 * Node.js informs only the thread that started it. Linux lists the threads of a process in `/proc`; the id of a thread
 * and its start time identify it. On other systems nothing is known, and a thread counts as alive until it reports its
 * end.
 */

import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import type { ThreadIdentity } from '@blobyard/core';

const UNKNOWN: ThreadIdentity = { id: 0, since: 0 };
/**
 * The index of the start time among the fields of `stat` after the thread's name. The name is in parentheses, and can
 * contain anything.
 */
const SINCE_FIELD = 19;

/** Returns the identity of the calling thread, by which other threads can check whether it is alive. */
export function thisThread(): ThreadIdentity {
  try {
    const stat = readFileSync('/proc/thread-self/stat', 'latin1');
    return { id: Number.parseInt(stat, 10), since: sinceOf(stat) };
  } catch {
    return UNKNOWN;
  }
}

/** Returns false only if it is certain that a thread of this process has ended. */
export function isAlive(thread: ThreadIdentity): boolean {
  if (thread.id === 0) return true;
  try {
    return sinceOf(readFileSync(`${entriesOf(thread)}/stat`, 'latin1')) === thread.since;
  } catch (error) {
    return !isGone(error);
  }
}

/**
 * Checks repeatedly whether a thread is alive, at a quarter of the cost of `isAlive`: it keeps a file of the thread in
 * `/proc` open. An open file belongs to this thread, and never to a later one with the same id. A probe may be used
 * only on the thread that created it, which must close it.
 */
export class ThreadProbe {
  readonly #thread: ThreadIdentity;
  readonly #byte = new Uint8Array(1);
  #entry: number | undefined;
  #isDead = false;

  constructor(thread: ThreadIdentity) {
    this.#thread = thread;
  }

  /** Returns false only if it is certain that the thread has ended. */
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

  /** Opens the file first, then checks the identity. If the thread is alive after that, the open file is its own. */
  #open(): boolean {
    this.#entry = openSync(`${entriesOf(this.#thread)}/comm`, 'r');
    return isAlive(this.#thread);
  }
}

function entriesOf({ id }: ThreadIdentity): string {
  return `/proc/self/task/${id}`;
}

/** Other errors, such as too many open files, do not say whether the thread has ended. */
function isGone(error: unknown): boolean {
  const { code } = error as { code?: string };
  return code === 'ENOENT' || code === 'ESRCH';
}

/**
 * Returns the start time of a thread, in ticks: the low 31 bits, enough to distinguish two threads with the same id.
 */
function sinceOf(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[SINCE_FIELD]) & 0x7fff_ffff;
}
