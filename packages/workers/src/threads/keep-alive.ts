/**
 * Keeps the process alive while something is under way that its event loop does not know of, such as waiting for
 * another thread.
 */

/** The longest interval that a timer of Node.js can have, in milliseconds. */
const PERIOD_MS = 0x7fff_ffff;

/** Counts what is under way. Keeps the process alive from the first `begin` to the last `end`. */
export class KeepAlive {
  #count = 0;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  begin(): void {
    this.#count++;
    if (this.#count > 1) return;
    if (this.#timer) this.#timer.ref();
    else this.#timer = setInterval(() => undefined, PERIOD_MS);
  }

  end(): void {
    this.#count--;
    if (this.#count > 0) return;
    if (this.#isClosed) this.close();
    else this.#timer?.unref();
  }

  /** Releases the timer. A timer that a later `begin` creates is released by its `end`. */
  close(): void {
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
