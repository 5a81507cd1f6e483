/**
 * Flushes that are asked for together. Those of one blob, or of the store, run one after another, because each needs the
 * same locks. So all that are asked for before the next one begins share it: it begins after the last write of each of
 * them.
 */

/** Metadata thread. */
export class FlushRounds {
  readonly #waiting = new Map<bigint | 'store', Promise<void>>();

  /**
   * Returns the round that waits to begin, or starts one.
   * @param of - a blob's id, or the store
   * @param run - runs a round; calls `begin` when it does not wait any longer, from where on others need a round of
   * their own
   */
  share(of: bigint | 'store', run: (begin: () => void) => Promise<void>): Promise<void> {
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
