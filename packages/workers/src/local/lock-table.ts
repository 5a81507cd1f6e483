/**
 * Locks by name. A lock exists only while it is held or waited for. An operation that needs several locks takes all of
 * them in one call, which queues for all of them at once. So the order is the same in all queues, and there is no
 * deadlock.
 */

import { Semaphore } from 'async-mutex';
import { aborted, throwIfAborted } from '../api/failures.js';

/**
 * - `presence`: a blob is not deleted while an operation shares this lock; deletion takes it exclusively. Operations on
 *   a clone share also that of its snapshot.
 * - `turn`: operations that change a blob as a whole, one at a time. Operations that need a blob to stay as it is share
 *   it.
 * - `state`: held by writes of the blob's metadata, and by operations that must not run in the middle of one.
 */
export type LockKind = 'presence' | 'turn' | 'state';

export interface LockWanted {
  readonly kind: LockKind;
  readonly blob: bigint;
  /** True: shared with others; otherwise exclusive. */
  readonly shared?: boolean;
}

/** The most operations that can share a lock; more wait. The cost of releasing the semaphore grows with this number. */
const SHARERS_MAX = 256;

interface Lock {
  readonly semaphore: Semaphore;
  /** The number of operations that have the lock or wait for it. */
  users: number;
}

/** The locks of one store. Metadata thread. */
export class LockTable {
  readonly #locks = new Map<string, Lock>();

  /** The number of locks that are held or waited for. */
  get size(): number {
    return this.#locks.size;
  }

  /**
   * Takes all locks, in the order of the calls. Returns a function that releases them. Throws the error of an
   * abort if the signal is aborted.
   */
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
      for (const each of taking) void each.then((release) => release()); // also those that are acquired later
      throw error;
    }
  }

  /** True if all locks could be taken without waiting. */
  areFree(wanted: readonly LockWanted[]): boolean {
    return wanted.every(({ kind, blob, shared }) => {
      const lock = this.#locks.get(nameOf(kind, blob));
      // Each sharer takes one unit. If users and taken units are equal, nobody waits or has it exclusively.
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

/** Waits for all promises. One after another is enough: each is queued already, and none rejects. */
async function allOf<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  const all: T[] = [];
  for (const each of promises) all.push(await each);
  return all;
}

/** Waits for locks, or until the signal is aborted (which fails). */
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
