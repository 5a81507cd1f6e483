/**
 * How many requests a channel is given at once: it refuses more, so that here they wait, first come, first served. Each lets the
 * event loop turn, where it is time for that, before it begins.
 */

import { Semaphore } from 'async-mutex';
import { operationTurns } from './loop-turns.js';

export class RequestSlots {
  #free: number;
  /** Requests that wait for a slot; each release lets the first of them go on. Its value is 0 while nobody releases. */
  readonly #queue = new Semaphore(0);
  #waiting = 0;

  /** @param count - slots, from 1 */
  constructor(count: number) {
    this.#free = count;
  }

  /**
   * Runs a request once it has a slot and its turn: in this same call when it has both at once.
   * @param isQuick - as of `LoopTurns.pass`
   */
  async run<T>(isQuick: boolean, request: () => Promise<T>): Promise<T> {
    if (this.#free > 0) {
      this.#free--;
    } else {
      this.#waiting++;
      await this.#queue.acquire();
    }
    try {
      return await (operationTurns.tryPass(isQuick) ? request() : operationTurns.later(request));
    } finally {
      this.#handOn();
    }
  }

  /** The slot goes to the first who waits, never back to the free ones past them. */
  #handOn(): void {
    if (this.#waiting === 0) {
      this.#free++;
      return;
    }
    this.#waiting--;
    this.#queue.release();
  }
}
