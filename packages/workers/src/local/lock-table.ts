/**
 * Locks by name, made when first wanted and forgotten when nobody wants them. Whoever needs several takes them all by one
 * call, which queues for all of them at once: who came first is first everywhere, so that nobody can wait in a circle.
 */

import { Semaphore } from 'async-mutex';
import { aborted, throwIfAborted } from '../api/failures.js';

/**
 * - `presence`: a blob stays as long as somebody shares it; deleting it takes it alone. Clones share that of everything
 *   they read through to.
 * - `turn`: operations that change a blob as a whole, one at a time.
 * - `state`: held by what must not meet a write of the blob's metadata half way, and by those writes.
 */
export type LockKind = 'presence' | 'turn' | 'state';

export interface LockWanted {
  readonly kind: LockKind;
  readonly blob: bigint;
  /** Together with others that share it; otherwise alone. */
  readonly shared?: boolean;
}

/** As many can share a lock; more wait. The semaphore's cost of a release grows with it. */
const SHARERS_MAX = 256;

interface Lock {
  readonly semaphore: Semaphore;
  /** Those that have it or wait for it. */
  users: number;
}

export class LockTable {
  readonly #locks = new Map<string, Lock>();

  /** Locks that somebody has or waits for. */
  get size(): number {
    return this.#locks.size;
  }

  /** Takes all, first come first served, and answers how to give them back. Throws ECANCELED when the signal says so. */
  async acquire(wanted: readonly LockWanted[], signal?: AbortSignal): Promise<() => void> {
    throwIfAborted(signal);
    const taking = wanted.map((each) => this.#acquireOne(each));
    try {
      if (taking.length === 1) return await unlessAborted(taking[0], signal);
      const releases = await unlessAborted(allOf(taking), signal);
      return () => {
        for (const release of releases) release();
      };
    } catch (error) {
      for (const each of taking) void each.then((release) => release()); // also of those that come only now
      throw error;
    }
  }

  /** True when all could be had at once. */
  areFree(wanted: readonly LockWanted[]): boolean {
    return wanted.every(({ kind, blob, shared }) => {
      const lock = this.#locks.get(nameOf(kind, blob));
      // Each of those that share it, and nobody else, takes one: so nobody has it alone, or waits.
      return lock === undefined || (shared === true && lock.users === SHARERS_MAX - lock.semaphore.getValue());
    });
  }

  async #acquireOne({ kind, blob, shared }: LockWanted): Promise<() => void> {
    const name = nameOf(kind, blob);
    let lock = this.#locks.get(name);
    if (lock === undefined) {
      lock = { semaphore: new Semaphore(SHARERS_MAX), users: 0 };
      this.#locks.set(name, lock);
    }
    const taken = lock;
    taken.users++;
    const [, release] = await taken.semaphore.acquire(shared ? 1 : SHARERS_MAX);
    return () => {
      release();
      taken.users--;
      if (taken.users === 0) this.#locks.delete(name);
    };
  }
}

function nameOf(kind: LockKind, blob: bigint): string {
  return `${kind} ${blob}`;
}

/** One after another is enough: each has its place already, and none fails. */
async function allOf<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  const all: T[] = [];
  for (const each of promises) all.push(await each);
  return all;
}

/** Waits for locks or for the signal. */
async function unlessAborted<T>(locks: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return locks;
  let onAbort: () => void = () => undefined;
  const abort = new Promise<never>((_, reject) => {
    onAbort = () => reject(aborted(signal.reason));
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([locks, abort]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
