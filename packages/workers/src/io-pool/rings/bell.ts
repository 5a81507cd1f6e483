/**
 * Sleep and wake-up without a lost wake-up, and without a system call when the consumer is awake.
 *
 * The race, and why it is safe: the consumer stores ASLEEP = 1 and then checks for work once more; the producer
 * publishes and then loads ASLEEP, at once or after it has published more. Whichever comes second sees what the other
 * wrote. The producer that changes ASLEEP back to 0 increments BELL before it notifies. The consumer waits while BELL
 * has the value that it had before ASLEEP = 1; so a notification that comes before the wait is seen in the value.
 * However many producers publish, only one of them wakes the consumer.
 *
 * A consumer sleeps by `Atomics.waitAsync`, so its event loop goes on. Such a sleep does not keep the process alive;
 * the owner of the bell must do that.
 */

/** Called at the points of the protocol where a race can be forced. For tests. */
export interface BellHooks {
  /** ASLEEP is stored; the last check for work is still to come. */
  announced?(): void;
  /** The last check found nothing; the wait is still to come. */
  looked?(): void;
}

/** One side's view of a bell: any number of producers, and one consumer. */
export class Bell {
  readonly #words: Int32Array;
  readonly #asleep: number;
  readonly #bell: number;
  readonly #hooks: BellHooks | undefined;
  /**
   * A wait of this consumer is in the JavaScript engine's list, or has ended and its promise has not been handled yet.
   */
  #isWaiting = false;

  /**
   * @param asleep - index of the word ASLEEP
   * @param bell - index of the word BELL
   */
  constructor(words: Int32Array, asleep: number, bell: number, hooks?: BellHooks) {
    this.#words = words;
    this.#asleep = asleep;
    this.#bell = bell;
    this.#hooks = hooks;
  }

  /** Producer: called after it has published. Wakes the consumer if it sleeps. */
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
   * Consumer: sleeps until the bell rings, and then calls `wake`; spurious calls are possible. Returns false, without
   * sleeping, when `hasWork` is true after ASLEEP was stored, or the bell rang meanwhile.
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
    // An earlier wait has not ended, because something else woke the consumer. It serves here too: a ring ends it.
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

  /** Consumer: called when something other than the bell has woken it. Producers then need not ring. */
  rise(): void {
    Atomics.store(this.#words, this.#asleep, 0);
  }

  /**
   * Consumer: ends a wait when there may be no more rings. Otherwise the wait would leak everything that `wake` refers
   * to.
   */
  dismiss(): void {
    if (this.#isWaiting) this.#notify();
  }
}
