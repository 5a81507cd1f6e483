/** The workers of a client, and which of them gets a request. */

import { availableParallelism } from 'node:os';
import type { WorkerLane } from './worker-lane.js';

/** A run of requests stays with one worker, so that others can sleep, until that has so much more work than another. */
const STICKY_WEIGHT = 4;
/** A worker that takes less for a unit of weight does not wait for a medium: it only copies. */
const COPYING_NS_MAX = 8000;

/**
 * Workers that only copy take processors from each other and from the client: more of them than there are other processors
 * make it all slower. Workers that wait for a medium do not.
 */
const COPYING_MAX = Math.max(1, availableParallelism() - 1);

/** What the choice depends on. */
export type LaneState = Pick<WorkerLane, 'hasRoom' | 'load' | 'pace' | 'answered'>;

export class WorkerLanes<Lane extends LaneState = WorkerLane> {
  readonly #copyingMax: number;
  readonly #all: Lane[] = [];
  /** Who got the last request. */
  #last: Lane | undefined;
  /** Whose turn it is to be looked at first. */
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

  /** The worker that is to get the next request; undefined when none has room. */
  pick(): Lane | undefined {
    const { length } = this.#all;
    const copyingMax = this.#copyingMax;
    let best = this.#leastLoaded(Math.min(length, copyingMax));
    if (length > copyingMax && (best === undefined || best.pace > COPYING_NS_MAX)) best = this.#leastLoaded(length);
    const last = this.#last;
    if (best !== undefined && last?.hasRoom && last.load <= best.load + STICKY_WEIGHT) return last;
    this.#last = best;
    return best;
  }

  /** Of the first `count` workers. */
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

  /** How long the workers should take for what they have. */
  get expectedMs(): number {
    let nanoseconds = 0;
    for (const { load, pace } of this.#all) nanoseconds = Math.max(nanoseconds, load * pace);
    return nanoseconds / 1e6;
  }

  /** Has `reap` take at most `limit` answers of all lanes; each time begins with another one, so that none is left behind. */
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
