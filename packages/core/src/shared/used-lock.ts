/**
 * The lock over the bit pool and the used-page mask. The word holds its owner, so that re-entry and a foreign release are
 * seen. A thread spins a bounded while, then sleeps on the word. Critical sections are short, do no I/O and do not throw.
 *
 * No wake-up is lost: a sleeper announces itself in the waiters word before it sleeps, and sleeps only while the word still
 * holds the owner it saw; the releaser stores 0 before it looks at the waiters word. Whichever comes second sees the other.
 */

import { assert } from '../error.js';
import { STORE } from './layout.js';

const SPINS_MAX = 200;
/** Longest sleep before the word is looked at again, in milliseconds; a net under the protocol above. */
const SLEEP_MS = 50;

export class UsedLock {
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
    Atomics.wait(this.#words, STORE.USED_LOCK, owner, SLEEP_MS);
    Atomics.sub(this.#words, STORE.USED_LOCK_WAITERS, 1);
  }
}
