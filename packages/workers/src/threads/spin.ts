/**
 * Polling of a word for a short time before a sleep. It pays if a thread on another processor is about to change the
 * word: a sleep and a wake-up take longer. Where all processors are busy, polling only keeps that thread from running.
 * Nothing tells the two cases apart beforehand. So what the last polls found decides whether the next wait polls at
 * all.
 */

import { availableParallelism } from 'node:os';

/**
 * The longest poll, in milliseconds. It is longer than it takes to wake the other thread and get its answer. So two
 * threads that both sleep in each wait can both begin to poll again.
 */
const LONGEST_MS = 0.03;
/** The number of looks at the word between two reads of the clock. */
const LOOKS = 50;
/** After k polls in vain in a row, the next 4^k - 1 waits do not poll; k is at most this. */
const VAIN_MAX = 3;
/**
 * This many polls that find something make up for one in vain. A poll in vain costs more than a poll saves that finds
 * something.
 */
const FOUND_PER_VAIN = 4;

export interface SpinOptions {
  /** A clock in milliseconds that never goes back. */
  readonly now?: () => number;
  /**
   * The number of threads that can run at once. With one, polling is useless: the other thread cannot run meanwhile.
   */
  readonly parallelism?: number;
}

/** What one waiter has found lately. Only its thread uses it. */
export class Spin {
  readonly #now: () => number;
  readonly #isAlone: boolean;
  /** Polls in vain that have not been made up for, in parts of `1 / FOUND_PER_VAIN`. */
  #vain = 0;
  /** The number of waits that do not poll, from now on. */
  #skipped = 0;

  constructor({ now = () => performance.now(), parallelism = availableParallelism() }: SpinOptions = {}) {
    this.#now = now;
    this.#isAlone = parallelism < 2;
  }

  /**
   * Polls for one wait, if that has paid lately. Returns what `isThere` returned at its last call. It is called at
   * least once.
   */
  until(isThere: () => boolean): boolean {
    if (isThere()) return true;
    if (this.#isAlone) return false;
    if (this.#skipped > 0) {
      this.#skipped--;
      return false;
    }
    const end = this.#now() + LONGEST_MS;
    for (;;) {
      let found = false;
      for (let looks = 0; looks < LOOKS && !found; looks++) found = isThere();
      // A thread that lost its processor meanwhile finds the change afterwards. Its poll was in vain all the same.
      const isInTime = this.#now() < end;
      if (!found && isInTime) continue;
      this.#learn(found && isInTime);
      return found;
    }
  }

  #learn(hasPaid: boolean): void {
    if (hasPaid) {
      this.#vain = Math.max(0, this.#vain - 1);
      return;
    }
    this.#vain = Math.min(this.#vain + FOUND_PER_VAIN, VAIN_MAX * FOUND_PER_VAIN);
    this.#skipped = 4 ** Math.floor(this.#vain / FOUND_PER_VAIN) - 1;
  }
}
