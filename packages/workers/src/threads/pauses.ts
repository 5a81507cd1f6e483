/** Pauses between tries of something that fails. */

import { setTimeout } from 'node:timers/promises';

const FIRST_MS = 50;
/** So long it takes at most until something is tried again that could be done by now. */
const LONGEST_MS = 2000;
/** What went on so long without a try is not what failed then. */
const CALM_MS = 10_000;

/** None before the first try, a short one before the second, and longer ones from one to the next. */
export class Pauses {
  #nextMs = 0;
  #lastTry = Number.NEGATIVE_INFINITY;

  /** Waits before a try; keeps no process alive meanwhile. Rejects when the signal says so. */
  async next(signal: AbortSignal): Promise<void> {
    const pauseMs = performance.now() - this.#lastTry > CALM_MS ? 0 : this.#nextMs;
    if (pauseMs > 0) await setTimeout(pauseMs, undefined, { ref: false, signal });
    this.#nextMs = pauseMs === 0 ? FIRST_MS : Math.min(2 * pauseMs, LONGEST_MS);
    this.#lastTry = performance.now();
  }
}
