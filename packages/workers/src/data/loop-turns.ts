/**
 * Lets the event loop turn beside work that never has to wait. On a synchronous device each promise is fulfilled by the time it
 * is given out: a loop that awaits them runs on from microtask to microtask, and timers, sockets and the requests of other threads
 * wait for ever. So whoever begins a piece of work passes here first. In each turn of the event loop what comes within a slice of
 * time may pass; what comes later waits for the next turn, first come, first served.
 *
 * Operations and long work have a slice each. Long work goes on without a break until its slice is over: in a common slice an
 * awaited loop would get one operation in, and then wait for the next turn.
 */

import { setImmediate } from 'node:timers'; // the real one, where tests of a user have put another in the global's place

/** What tests have another one of. */
export interface LoopClock {
  /** Milliseconds. */
  now(): number;
  /** Calls back when the event loop has turned. */
  afterTurn(callback: () => void): void;
}

/** What operations may take of a turn, and what long work may, in milliseconds; together well below 10. */
const OPERATIONS_MS = 5;
const LONG_WORK_MS = 2;
/** A look at the clock costs as much as a 30th of a small write in memory: so many quick ones pass between two looks. */
const UNSEEN_MAX = 7;
/** A quick one is done in less, in milliseconds; where they are not, the clock is looked at each time. */
const QUICK_MS = 0.03;

const LOOP: LoopClock = {
  now: () => performance.now(),
  afterTurn: (callback) => void setImmediate(callback),
};

export class LoopTurns {
  readonly #sliceMs: number;
  readonly #clock: LoopClock;
  /** The slice of this turn has begun. */
  #hasBegun = false;
  #sliceEnd = 0;
  #lookedAt = 0;
  /** How many may pass before the next look at the clock, and how many could after the last one. */
  #unseen = 0;
  #unseenBefore = 0;
  #wasQuick = false;
  readonly #waiting: (() => void)[] = [];
  /** Of those that wait, the first who still does. */
  #first = 0;
  #passed = 0;

  /** @param sliceMs - of each turn of the event loop */
  constructor(sliceMs: number, clock: LoopClock = LOOP) {
    this.#sliceMs = sliceMs;
    this.#clock = clock;
  }

  /** How often somebody came here. */
  get passed(): number {
    return this.#passed;
  }

  /**
   * To be called before a piece of work.
   * @param isQuick - it takes some microseconds, as a small transfer does
   * @returns what to wait for before it begins; undefined when it may begin at once
   */
  pass(isQuick = false): Promise<void> | undefined {
    return this.tryPass(isQuick) ? undefined : this.later(() => undefined);
  }

  /** As `pass`, for work that would take another way if it had to wait: false when it would. */
  tryPass(isQuick = false): boolean {
    this.#passed++;
    if (!isQuick || this.#unseen === 0) return this.#hasTime();
    this.#unseen--;
    return true;
  }

  /** Begins what could not pass when it is its turn, or before the next synchronous call of the thread. */
  later<T>(begin: () => T | Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => {
        try {
          resolve(begin());
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  get isWaiting(): boolean {
    return this.#waiting.length > this.#first;
  }

  /** Begins all that waits, now: what a synchronous call does comes after what was asked for before it. */
  beginWaiting(): void {
    while (this.isWaiting) this.#waiting[this.#first++]();
  }

  #hasTime(): boolean {
    const now = this.#clock.now();
    if (!this.#hasBegun) {
      this.#hasBegun = true;
      this.#sliceEnd = now + this.#sliceMs;
      this.#clock.afterTurn(() => this.#onTurn());
    }
    const isLeft = now < this.#sliceEnd;
    const isQuick = now - this.#lookedAt < (this.#unseenBefore - this.#unseen + 1) * QUICK_MS;
    // Twice in a row: two looks may belong to one piece of work.
    this.#unseenBefore = isLeft && isQuick && this.#wasQuick ? UNSEEN_MAX : 0;
    this.#unseen = this.#unseenBefore;
    this.#wasQuick = isQuick;
    this.#lookedAt = now;
    return isLeft;
  }

  #onTurn(): void {
    this.#hasBegun = false;
    this.#unseen = 0;
    if (this.#waiting.length > 0) void this.#letPass();
  }

  /** Lets those that wait go on, one by one: each begins, and does at once what it can, before it is the next one's turn. */
  async #letPass(): Promise<void> {
    const waiting = this.#waiting;
    while (this.isWaiting && this.#hasTime()) {
      waiting[this.#first++]();
      await undefined;
    }
    waiting.splice(0, this.#first);
    this.#first = 0;
  }
}

/** Of this thread, whatever stores it has: operations, and long work at its pauses. */
export const operationTurns = new LoopTurns(OPERATIONS_MS);
export const longWorkTurns = new LoopTurns(LONG_WORK_MS);
