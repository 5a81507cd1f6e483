/**
 * Flushes that are asked for together. All that are asked for before the next one begins share it: it begins after the
 * last write of each of them.
 */
export class FlushRounds<Key> {
  readonly #waiting = new Map<Key, Promise<void>>();

  /**
   * Returns the round that waits to begin, or starts one.
   * @param of - what is flushed
   * @param run - runs a round; calls `begin` when it does not wait any longer, from where on others need a round of
   * their own
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
