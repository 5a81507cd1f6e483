/** The workers of a client, and the choice of the worker for a request. */

import { availableParallelism } from 'node:os';
import type { WorkerLane } from './worker-lane.js';

/**
 * Requests go to the same worker, so that others can sleep, until its load is this much larger than that of the least
 * loaded one. In units of `requestWeight`.
 */
const STICKY_WEIGHT = 4;
/**
 * A worker that takes at most this many nanoseconds for a unit of weight only copies memory, and does not wait for a
 * medium.
 */
const COPYING_NS_MAX = 8000;

/**
 * The most workers that are used if they only copy. They compete with each other and with the client for processors, so
 * more workers than there are other processors make everything slower. Workers that wait for a medium do not compete.
 * Large requests (`LARGE_WEIGHT`) may use one worker more: the client has little to do for them, so they do not compete
 * with it.
 */
const COPYING_MAX = Math.max(1, availableParallelism() - 1);
/** The weight of 256 KiB. */
const LARGE_WEIGHT = 17;

/** What the choice depends on. */
export type LaneState = Pick<WorkerLane, 'hasRoom' | 'load' | 'pace' | 'answered' | 'ring'>;

export class WorkerLanes<Lane extends LaneState = WorkerLane> {
  readonly #copyingMax: number;
  readonly #all: Lane[] = [];
  /** The worker that got the last request. */
  #last: Lane | undefined;
  /** Counts calls of `reap`: it decides which worker's answers are taken first. */
  #turn = 0;

  constructor(copyingMax = COPYING_MAX) {
    this.#copyingMax = copyingMax;
  }

  get count(): number {
    return this.#all.length;
  }

  includes(lane: Lane): boolean {
    return this.#all.includes(lane);
  }

  add(lane: Lane): void {
    this.#all.push(lane);
  }

  remove(lane: Lane): void {
    this.#all.splice(this.#all.indexOf(lane), 1);
    if (this.#last === lane) this.#last = undefined;
  }

  /** The worker for the next request, of this weight; undefined when none has room. */
  pick(weight: number): Lane | undefined {
    const { length } = this.#all;
    const copyingMax = weight < LARGE_WEIGHT ? this.#copyingMax : this.#copyingMax + 1;
    let best = this.#leastLoaded(Math.min(length, copyingMax));
    if (length > copyingMax && (best === undefined || best.pace > COPYING_NS_MAX)) best = this.#leastLoaded(length);
    const last = this.#last;
    if (best !== undefined && last?.hasRoom && last.load <= best.load + STICKY_WEIGHT) return last;
    this.#last = best;
    return best;
  }

  /** The least loaded one of the first `count` workers that has room. */
  #leastLoaded(count: number): Lane | undefined {
    let best: Lane | undefined;
    for (let index = 0; index < count; index++) {
      const lane = this.#all[index];
      if (lane.hasRoom && (best === undefined || lane.load < best.load)) best = lane;
    }
    return best;
  }

  get haveAnswers(): boolean {
    return this.#all.some((lane) => lane.answered > 0);
  }

  /** Wakes the workers that sleep and have requests; see `WorkerLane.ring`. */
  ring(): void {
    for (const lane of this.#all) lane.ring();
  }

  /**
   * Calls `reap` to take at most `limit` answers from all lanes. Begins with another lane each time, so that none
   * starves.
   */
  reap(limit: number, reap: (lane: Lane, limit: number) => number): number {
    const { length } = this.#all;
    let reaped = 0;
    this.#turn++;
    for (let index = 0; index < length && reaped < limit; index++) {
      reaped += reap(this.#all[(this.#turn + index) % length], limit - reaped);
    }
    return reaped;
  }
}
