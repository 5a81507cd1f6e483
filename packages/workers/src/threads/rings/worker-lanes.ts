/** The workers of a client, and which of them gets a request. */

import { availableParallelism } from 'node:os';
import type { WorkerLane } from './worker-lane.js';

/** A run of requests stays with one worker, so that others can sleep, until that has so much more work than another. */
const STICKY_WEIGHT = 4;
/** A worker that takes less for a unit of weight does not wait for a medium: it only copies. */
const COPYING_NS_MAX = 8000;

const PROCESSORS = availableParallelism();

export class WorkerLanes {
  readonly #all: WorkerLane[] = [];
  /** Who got the last request. */
  #last: WorkerLane | undefined;
  /** Whose turn it is to be looked at first. */
  #turn = 0;

  includes(lane: WorkerLane): boolean {
    return this.#all.includes(lane);
  }

  add(lane: WorkerLane): void {
    this.#all.push(lane);
  }

  remove(lane: WorkerLane): void {
    this.#all.splice(this.#all.indexOf(lane), 1);
    if (this.#last === lane) this.#last = undefined;
  }

  /** The worker that is to get the next request; undefined when none has room. */
  pick(): WorkerLane | undefined {
    const lanes = this.#all;
    let best: WorkerLane | undefined;
    for (let index = 0; index < lanes.length; index++) {
      const lane = lanes[index];
      if (lane.hasRoom && (best === undefined || lane.load < best.load)) best = lane;
    }
    const last = this.#last;
    if (best !== undefined && best !== last && last?.hasRoom && this.#isToStay(last, best)) return last;
    this.#last = best;
    return best;
  }

  #isToStay(last: WorkerLane, best: WorkerLane): boolean {
    return last.load <= best.load + STICKY_WEIGHT || (this.#isCrowded && last.pace < COPYING_NS_MAX);
  }

  /**
   * There are more threads than processors: workers that only copy take processors from each other and from the client, and
   * a second one makes it all slower. Workers that wait for a medium do not.
   */
  get #isCrowded(): boolean {
    return this.#all.length >= PROCESSORS;
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
  reap(limit: number, reap: (lane: WorkerLane, limit: number) => number): number {
    const { length } = this.#all;
    let reaped = 0;
    this.#turn++;
    for (let index = 0; index < length && reaped < limit; index++) {
      reaped += reap(this.#all[(this.#turn + index) % length], limit - reaped);
    }
    return reaped;
  }
}
