/** Pauses between tries of something that fails. */

const FIRST_MS = 50;
/** So long it takes at most until something is tried again that could be done by now. */
const LONGEST_MS = 2000;
/** What went on so long without a try is not what failed then. */
const CALM_MS = 10_000;

/** None before the first try, a short one before the second, and longer ones from one to the next. */
export class Pauses {
  #nextMs = 0;
  #lastTryMs = Number.NEGATIVE_INFINITY;

  /** Milliseconds to wait before a try that is wanted at `nowMs`. */
  next(nowMs: number): number {
    const pauseMs = nowMs - this.#lastTryMs > CALM_MS ? 0 : this.#nextMs;
    this.#nextMs = pauseMs === 0 ? FIRST_MS : Math.min(2 * pauseMs, LONGEST_MS);
    this.#lastTryMs = nowMs + pauseMs;
    return pauseMs;
  }
}
