/**
 * How a consumer sleeps without losing a wake-up, and a producer wakes without calling the system for one that is awake.
 *
 * The race, and why it is none: the consumer stores ASLEEP = 1 and then looks for work once more; the producer publishes and
 * then looks at ASLEEP. Whichever comes second sees the other. The producer that turns ASLEEP back to 0 raises BELL before
 * it notifies; the consumer waits for BELL to be other than what it was before ASLEEP = 1, so that a notification which
 * comes before the wait is seen in the value. Of any number of producers and publications only one pays for the wake-up.
 *
 * A consumer sleeps by `Atomics.waitAsync`: its event loop goes on. That keeps no process alive; the owner does.
 */

/** Called at the points of the protocol where a race can be forced. For tests. */
export interface BellHooks {
  /** ASLEEP is stored, the last look is still to come. */
  announced?(): void;
  /** The last look found nothing, the wait is still to come. */
  looked?(): void;
}

export class Bell {
  readonly #words: Int32Array;
  readonly #asleep: number;
  readonly #bell: number;
  readonly #hooks: BellHooks | undefined;
  /** A wait of this consumer is in the engine's list, or over and not yet told. */
  #isWaiting = false;

  constructor(words: Int32Array, asleep: number, bell: number, hooks?: BellHooks) {
    this.#words = words;
    this.#asleep = asleep;
    this.#bell = bell;
    this.#hooks = hooks;
  }

  /** Producers, after they have published. */
  ring(): void {
    if (Atomics.load(this.#words, this.#asleep) !== 0) this.#wakeUp();
  }

  #wakeUp(): void {
    if (Atomics.compareExchange(this.#words, this.#asleep, 1, 0) === 1) this.#notify();
  }

  #notify(): void {
    Atomics.add(this.#words, this.#bell, 1);
    Atomics.notify(this.#words, this.#bell);
  }

  /**
   * The consumer: sleeps until the bell rings, then calls `wake`; it may also be called when nothing has happened. Answers
   * false, awake, when `hasWork` says so after the sleep was announced, or the bell rang meanwhile.
   */
  sleep(hasWork: () => boolean, wake: () => void): boolean {
    const seen = Atomics.load(this.#words, this.#bell);
    Atomics.store(this.#words, this.#asleep, 1);
    this.#hooks?.announced?.();
    if (hasWork()) {
      this.rise();
      return false;
    }
    this.#hooks?.looked?.();
    // An earlier wait, out of which something else called the consumer, is as good: whoever rings ends that one.
    if (this.#isWaiting) return true;
    const wait = Atomics.waitAsync(this.#words, this.#bell, seen);
    if (!wait.async) return false;
    this.#isWaiting = true;
    void wait.value.then(() => {
      this.#isWaiting = false;
      wake();
    });
    return true;
  }

  /** The consumer, when something else than the bell has called it: nobody need ring. */
  rise(): void {
    Atomics.store(this.#words, this.#asleep, 0);
  }

  /** The consumer, when nobody may ring any more: a wait in the engine's list would keep all that `wake` refers to, for ever. */
  dismiss(): void {
    if (this.#isWaiting) this.#notify();
  }
}
