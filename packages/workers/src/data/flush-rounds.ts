/**
 * Group commit: one flush for all callers that request the same flush before it begins. It covers the earlier writes of
 * each of them, because it begins after their requests.
 */
export class FlushRounds<Key> {
  readonly #waiting = new Map<Key, Promise<void>>();

  /**
   * Returns the flush that has not begun yet, or requests a new one.
   * @param of - what is flushed
   * @param run - waits as long as it needs, calls `begin`, and then flushes. Later callers get a flush of their own
   */
  share(of: Key, run: (begin: () => void) => Promise<void>): Promise<void> {
    const waiting = this.#waiting.get(of);
    if (waiting !== undefined) return waiting;
    const begin = () => {
      if (this.#waiting.get(of) === round) this.#waiting.delete(of);
    };
    const round: Promise<void> = run(begin).finally(begin);
    this.#waiting.set(of, round);
    return round;
  }
}
