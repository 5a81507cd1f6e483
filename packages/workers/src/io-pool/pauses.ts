/** Pauses between tries of something that fails (back-off). */

/** The first pause that is not 0. */
const FIRST_MS = 50;
/** The longest pause. */
const LONGEST_MS = 2000;
/** After this time without a try the pauses start again from 0: a failure is then taken for a new problem. */
const CALM_MS = 10_000;

/** No pause before the first try, a short one before the second; then each is twice as long as the one before. */
export class Pauses {
  #nextMs = 0;
  #lastTryMs = Number.NEGATIVE_INFINITY;

  /** Returns the milliseconds to wait before the next try. @param nowMs - the time now */
  next(nowMs: number): number {
    const pauseMs = nowMs - this.#lastTryMs > CALM_MS ? 0 : this.#nextMs;
    this.#nextMs = pauseMs === 0 ? FIRST_MS : Math.min(2 * pauseMs, LONGEST_MS);
    this.#lastTryMs = nowMs + pauseMs;
    return pauseMs;
  }
}
