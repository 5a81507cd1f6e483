/**
 * The used lock, which protects the bit pool and the used-page mask. The lock word holds the owner, so re-entry, and
 * release by another thread, are detected. A thread spins for a bounded number of tries, then sleeps on the word.
 * Critical sections are short and do no I/O. If one throws, `SharedStore.locked` releases the lock.
 *
 * No wake-up is lost. A waiter adds itself to the waiters word before it sleeps, and sleeps only if the lock word still
 * holds the owner that it saw. The releaser stores 0 in the lock word before it reads the waiters word. Whichever of
 * the two comes second sees the other one's write.
 */

import { assert } from '../units/error.js';
import { STORE } from './layout.js';

/**
 * The number of the first thread other than the metadata thread. These threads are numbered by the rows of their
 * channels.
 */
const FIRST_CHANNEL_THREAD = 1;

/** The thread number, for the used lock, of the thread that has a row of the channel table. */
export function threadOfRow(row: number): number {
  return FIRST_CHANNEL_THREAD + row;
}

/** The row of the channel table of a thread number; negative for the metadata thread, which has none. */
export function rowOfThread(threadId: number): number {
  return threadId - FIRST_CHANNEL_THREAD;
}

const SPINS_MAX = 200;
/** The longest sleep before the word is checked again, in milliseconds. A safety net: wake-ups do not depend on it. */
const SLEEP_MS = 50;

/** The used lock, as one thread uses it. Blocks the thread while it waits. */
export class UsedLock {
  /**
   * Called with the owner's thread number each time that a sleep for the lock times out: the owner may be dead. If it
   * throws, the wait ends with that error.
   */
  onLongWait: ((threadId: number) => void) | undefined;
  readonly #words: Int32Array;
  readonly #self: number;

  /** @param threadId - the number of this thread, from 0; unique among the threads that use the store */
  constructor(words: Int32Array, threadId: number) {
    this.#words = words;
    this.#self = threadId + 1;
  }

  /** Acquires the lock, without a time limit. Any thread. Throws an `InvariantError` if it holds the lock already. */
  acquire(): void {
    for (let spins = 0; ; spins++) {
      const owner = Atomics.compareExchange(this.#words, STORE.USED_LOCK, 0, this.#self);
      if (owner === 0) return;
      assert(owner !== this.#self, 'the used lock was taken twice by one thread');
      if (spins >= SPINS_MAX) this.#sleep(owner);
    }
  }

  /**
   * Takes the lock over from a dead thread. Returns false if that thread does not hold it. Metadata thread; it must
   * rebuild the pool and the mask before it releases the lock.
   */
  takeFromDead(threadId: number): boolean {
    return Atomics.compareExchange(this.#words, STORE.USED_LOCK, threadId + 1, this.#self) === threadId + 1;
  }

  /** Releases the lock. */
  release(): void {
    const owner = Atomics.exchange(this.#words, STORE.USED_LOCK, 0);
    assert(owner === this.#self, 'the used lock was released by a thread that does not hold it');
    if (Atomics.load(this.#words, STORE.USED_LOCK_WAITERS) > 0) Atomics.notify(this.#words, STORE.USED_LOCK, 1);
  }

  /** True while this thread holds the lock. */
  get isHeld(): boolean {
    return Atomics.load(this.#words, STORE.USED_LOCK) === this.#self;
  }

  #sleep(owner: number): void {
    Atomics.add(this.#words, STORE.USED_LOCK_WAITERS, 1);
    const outcome = Atomics.wait(this.#words, STORE.USED_LOCK, owner, SLEEP_MS);
    Atomics.sub(this.#words, STORE.USED_LOCK_WAITERS, 1);
    if (outcome === 'timed-out') this.onLongWait?.(owner - 1);
  }
}
