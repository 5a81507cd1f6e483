/**
 * The lock over the bit pool and the used-page mask. The word holds its owner, so that re-entry and a foreign release are
 * seen. A thread spins a bounded while, then sleeps on the word. Critical sections are short, do no I/O and do not throw.
 *
 * No wake-up is lost: a sleeper announces itself in the waiters word before it sleeps, and sleeps only while the word still
 * holds the owner it saw; the releaser stores 0 before it looks at the waiters word. Whichever comes second sees the other.
 */

import { assert } from '../units/error.js';
import { STORE } from './layout.js';

/** Threads other than the metadata thread are numbered from here on, by the rows of their channels. */
const FIRST_CHANNEL_THREAD = 1;

/** The number, for its locks, of the thread that has a row of the channel table. */
export function threadOfRow(row: number): number {
  return FIRST_CHANNEL_THREAD + row;
}

/** The row of the channel table that a thread has by its number; negative for the metadata thread, which needs none. */
export function rowOfThread(threadId: number): number {
  return threadId - FIRST_CHANNEL_THREAD;
}

const SPINS_MAX = 200;
/** Longest sleep before the word is looked at again, in milliseconds; a net under the protocol above. */
const SLEEP_MS = 50;

export class UsedLock {
  /** Called with the owner's number each time that sleeping for it was in vain: it may be dead. What it throws ends the wait. */
  onLongWait: ((threadId: number) => void) | undefined;
  readonly #words: Int32Array;
  readonly #self: number;

  /** @param threadId - this thread's number, from 0; unique among the threads that use the store. */
  constructor(words: Int32Array, threadId: number) {
    this.#words = words;
    this.#self = threadId + 1;
  }

  /** Takes the lock, waiting as long as it takes. Any thread; never while it already holds the lock. */
  acquire(): void {
    for (let spins = 0; ; spins++) {
      const owner = Atomics.compareExchange(this.#words, STORE.USED_LOCK, 0, this.#self);
      if (owner === 0) return;
      assert(owner !== this.#self, 'the used lock was taken twice by one thread');
      if (spins >= SPINS_MAX) this.#sleep(owner);
    }
  }

  /**
   * Takes the lock from a thread that is dead. Metadata thread; what the lock guards is to be rebuilt before it is released.
   * Answers false when that thread does not have it.
   */
  takeFromDead(threadId: number): boolean {
    return Atomics.compareExchange(this.#words, STORE.USED_LOCK, threadId + 1, this.#self) === threadId + 1;
  }

  /** Gives the lock back. */
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
