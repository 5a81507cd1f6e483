/**
 * Limits the requests that a channel gets at once, because it refuses more. Further requests wait here, in the order of
 * arrival. Before a request begins, it lets the event loop run if the time slice of this turn is used up.
 */

import { Semaphore } from 'async-mutex';
import { operationTurns } from './loop-turns.js';

export class RequestSlots {
  #free: number;
  /** The requests that wait for a slot. Each release lets the first one continue. Its value is otherwise always 0. */
  readonly #queue = new Semaphore(0);
  #waiting = 0;

  /** @param count - the number of slots, from 1 */
  constructor(count: number) {
    this.#free = count;
  }

  /**
   * Runs a request when a slot is free and its time slice permits, if possible in this same call.
   * @param isQuick - see `LoopTurns.pass`
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

  /**
   * Passes the slot to the first waiting request. It becomes free only if none waits, so no later request overtakes.
   */
  #handOn(): void {
    if (this.#waiting === 0) {
      this.#free++;
      return;
    }
    this.#waiting--;
    this.#queue.release();
  }
}
