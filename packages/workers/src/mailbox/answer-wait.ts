/**
 * How the thread of a channel waits for the metadata thread's answers: on a word of its mailbox that changes after an answer is
 * there. Both ways look a while before they sleep: when the metadata thread is awake it answers sooner than a thread can be woken.
 */

import type { SharedStore } from '@blobyard/core';

/**
 * How long a stopped thread looks for its answer before it sleeps, in milliseconds: longer than it takes to wake the metadata
 * thread and be answered, or each would find the other asleep every time.
 */
const SPIN_MS = 0.1;
/**
 * The same for promise forms: less than an answer takes. Where threads are more than processors, one that looks keeps another
 * from working; who sleeps until several answers are there wakes once for all of them. (Measured by `first-write-pool`.)
 */
const POLL_MS = 0.02;
/** Looks at a word between two at the clock. */
const LOOKS = 200;
/** Longest sleep before the waiter looks whether the store has ended, in milliseconds. */
export const LONGEST_SLEEP_MS = 100;

/** Answers that are waited for in promise form. */
export interface AnswerSource {
  /** True while an answer is missing. */
  isWaiting(): boolean;
  /** Takes the answers that are there. */
  take(): void;
  /** The store has ended: no answer comes any more. Afterwards `isWaiting` is false. */
  fail(error: unknown): void;
}

/**
 * Stops the thread while a word has a value. EIO or EBADF once the store has ended. A wake-up says nothing by itself: the notification
 * for an earlier answer can come late.
 */
export function blockWhile(shared: SharedStore, words: Int32Array, at: number, value: number): void {
  const end = performance.now() + SPIN_MS;
  do {
    for (let looks = 0; looks < LOOKS; looks++) if (Atomics.load(words, at) !== value) return;
  } while (performance.now() < end);
  while (Atomics.load(words, at) === value) {
    if (Atomics.wait(words, at, value, LONGEST_SLEEP_MS) !== 'timed-out') continue;
    if (Atomics.load(words, at) === value) shared.requireAlive();
  }
}

/** Takes answers in turns of the event loop, as long as one is missing. */
export class AnswerLoop {
  readonly #shared: SharedStore;
  readonly #words: Int32Array;
  readonly #at: number;
  readonly #source: AnswerSource;
  #isRunning = false;

  /** @param at - of the word that counts answers */
  constructor(shared: SharedStore, words: Int32Array, at: number, source: AnswerSource) {
    this.#shared = shared;
    this.#words = words;
    this.#at = at;
    this.#source = source;
  }

  /** Something is waited for. */
  start(): void {
    if (!this.#isRunning) void this.#run();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    let seen: number | undefined; // what was answered before the first look is there
    let quietSince = performance.now();
    while (this.#source.isWaiting()) {
      const count = Atomics.load(this.#words, this.#at); // before the look: what comes later changes the word
      if (count !== seen) {
        seen = count;
        this.#source.take();
        quietSince = performance.now();
      } else if (performance.now() - quietSince < POLL_MS) {
        await new Promise((resolve) => setImmediate(resolve));
      } else {
        const waiting = Atomics.waitAsync(this.#words, this.#at, count, LONGEST_SLEEP_MS);
        if (waiting.async) await waiting.value;
        this.#failIfEnded();
        quietSince = performance.now();
      }
    }
    this.#isRunning = false; // in the turn of the look at what is missing, or what comes now would wait for ever
  }

  /** An answer that was given before the store ended is taken all the same. */
  #failIfEnded(): void {
    try {
      this.#shared.requireAlive();
    } catch (error) {
      this.#source.take();
      this.#source.fail(error);
    }
  }
}
