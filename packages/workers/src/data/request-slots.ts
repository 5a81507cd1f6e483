/**
 * Limits the requests that a channel gets at once, because it refuses more. Further requests wait here, in the order of
 * arrival. Before a request begins, it lets the event loop run if the time slice of this turn is used up.
 */

import { operationTurns } from './loop-turns.js';

/**
 * A request that waits for a slot, in a linked list: to add or remove one takes the same time in a list of any length.
 */
interface Waiting {
  readonly resume: () => void;
  next: Waiting | undefined;
}

export class RequestSlots {
  #free: number;
  #first: Waiting | undefined;
  #last: Waiting | undefined;

  /** @param count - the number of slots, from 1 */
  constructor(count: number) {
    this.#free = count;
  }

  /**
   * Runs a request when a slot is free and its time slice permits, if possible in this same call.
   * @param isQuick - see `LoopTurns.pass`
   */
  async run<T>(isQuick: boolean, request: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resume) => this.#append({ resume, next: undefined }));
    try {
      return await (operationTurns.tryPass(isQuick) ? request() : operationTurns.later(request));
    } finally {
      this.#handOn();
    }
  }

  #append(waiting: Waiting): void {
    if (this.#last === undefined) this.#first = waiting;
    else this.#last.next = waiting;
    this.#last = waiting;
  }

  /**
   * Passes the slot to the first waiting request. It becomes free only if none waits, so no later request overtakes.
   */
  #handOn(): void {
    const first = this.#first;
    if (first === undefined) {
      this.#free++;
      return;
    }
    this.#first = first.next;
    if (this.#first === undefined) this.#last = undefined;
    first.resume();
  }
}
