/**
 * Prevents work that never has to wait from starving the event loop.
 *
 * On a synchronous device each promise is already fulfilled when it is returned. A loop that awaits such promises runs
 * from microtask to microtask, and timers, sockets and the requests of other threads wait for ever. So each piece of
 * work asks here before it begins. In each turn of the event loop, work may begin for a time slice. Work that comes
 * later waits for the next turn, in the order of arrival.
 *
 * Operations and long work have separate slices. Long work uses its slice without a break. If both shared one slice,
 * long work would use it up, and a loop that awaits operations would get only one of them done in each turn.
 */

import { setImmediate } from 'node:timers'; // the original, even if a user's tests replace the global one

/** The clock, which tests replace. */
export interface LoopClock {
  /** Returns the time in milliseconds. */
  now(): number;
  /** Calls back in the next turn of the event loop. */
  afterTurn(callback: () => void): void;
}

/** The slices of operations and of long work in each turn, in milliseconds. Together they are well below 10. */
const OPERATIONS_MS = 5;
const LONG_WORK_MS = 2;
/**
 * The most quick operations between two reads of the clock. A read costs a 30th of a small write to a memory device.
 */
const UNSEEN_MAX = 7;
/** A quick operation takes less than this, in milliseconds. If operations take longer, the clock is read each time. */
const QUICK_MS = 0.03;
/** How many pieces of waiting work may end one after another before microtasks run. */
const ENDED_IN_A_ROW_MAX = 16;

const LOOP: LoopClock = {
  now: () => performance.now(),
  afterTurn: (callback) => void setImmediate(callback),
};

/** Work that waits for its turn. */
export interface WaitingWork {
  /** Begins it. Returns true if it has ended in this call. Must not throw. */
  begin(): boolean;
}

export class LoopTurns {
  readonly #sliceMs: number;
  readonly #clock: LoopClock;
  /** True if the slice of this turn has begun. */
  #hasBegun = false;
  #sliceEnd = 0;
  #lookedAt = 0;
  /** How many quick operations may begin before the next read of the clock; and how many could after the last read. */
  #unseen = 0;
  #unseenBefore = 0;
  #wasQuick = false;
  readonly #waiting: WaitingWork[] = [];
  /** The index in `#waiting` of the first that still waits. */
  #first = 0;
  #passed = 0;

  /** @param sliceMs - the slice in each turn of the event loop, in milliseconds */
  constructor(sliceMs: number, clock: LoopClock = LOOP) {
    this.#sliceMs = sliceMs;
    this.#clock = clock;
  }

  /** How many times `pass` or `tryPass` was called. */
  get passed(): number {
    return this.#passed;
  }

  /**
   * To be called before a piece of work.
   * @param isQuick - the work takes a few microseconds, as a small transfer does
   * @returns a promise to await before the work begins; undefined if it may begin at once
   */
  pass(isQuick = false): Promise<void> | undefined {
    return this.tryPass(isQuick) ? undefined : this.later(() => undefined);
  }

  /** Same as `pass`, for callers that do something else than wait: returns false if the work would have to wait. */
  tryPass(isQuick = false): boolean {
    this.#passed++;
    if (!isQuick || this.#unseen === 0) return this.#hasTime();
    this.#unseen--;
    return true;
  }

  /**
   * Queues work that may not begin yet. It begins in a later turn, or before the next synchronous call of the thread.
   */
  later<T>(begin: () => T | Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.queue({
        begin() {
          try {
            resolve(begin());
          } catch (error) {
            reject(error);
          }
          return false;
        },
      });
    });
  }

  /** Same as `later`, for work that takes little memory while it waits. */
  queue(work: WaitingWork): void {
    this.#waiting.push(work);
  }

  get isWaiting(): boolean {
    return this.#waiting.length > this.#first;
  }

  /** Begins all waiting work now, so that a synchronous call takes effect after the calls that were made before it. */
  beginWaiting(): void {
    while (this.isWaiting) this.#waiting[this.#first++].begin();
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
    // Required twice in a row, because two reads of the clock may belong to one piece of work.
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

  /**
   * Begins the waiting work, one after another. Each does what it can without waiting before the next one begins. What
   * waits for the end of work goes on after a few more have ended.
   */
  async #letPass(): Promise<void> {
    const waiting = this.#waiting;
    let ended = 0;
    while (this.isWaiting && this.#hasTime()) {
      const hasEnded = waiting[this.#first++].begin();
      if (hasEnded && ++ended < ENDED_IN_A_ROW_MAX) continue;
      ended = 0;
      await undefined;
    }
    waiting.splice(0, this.#first);
    this.#first = 0;
  }
}

/** The slices of this thread, common to all its stores: for operations, and for long work, which asks at its pauses. */
export const operationTurns = new LoopTurns(OPERATIONS_MS);
export const longWorkTurns = new LoopTurns(LONG_WORK_MS);
