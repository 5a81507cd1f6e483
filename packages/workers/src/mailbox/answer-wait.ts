/**
 * How the thread of a channel waits for the metadata thread's answers: on a word of its mailbox, which changes after an
 * answer is there. Both forms (blocking, and with promises) poll for a while before they sleep: a metadata thread that
 * is awake answers faster than a sleeping thread can be woken.
 */

import type { SharedStore } from '@blobyard/core';

/**
 * How long a blocked thread polls for its answer before it sleeps, in milliseconds. It must be longer than the time to
 * wake the metadata thread and get its answer; otherwise each of the two threads would be asleep every time.
 */
const SPIN_MS = 0.1;
/**
 * The same for promise forms; shorter than the time that an answer takes. With more threads than processors, a thread
 * that polls keeps another from working. A thread that sleeps until several answers are there wakes up once for all of
 * them. (Measured by `first-write-pool`.)
 */
const POLL_MS = 0.02;
/** Loads of the word between two reads of the clock. */
const LOOKS = 200;
/** The longest sleep before a waiting thread checks whether the store has ended, in milliseconds. */
export const LONGEST_SLEEP_MS = 100;

/** Answers that promise forms wait for. */
export interface AnswerSource {
  /** True while an answer is missing. */
  isWaiting(): boolean;
  /** Takes the answers that are there. */
  take(): void;
  /** The store has ended, and no more answers will come. Afterwards `isWaiting` is false. */
  fail(error: unknown): void;
}

/**
 * Blocks the thread while a word has a value. EIO or EBADF once the store has ended. After each wake-up the word is
 * checked again, because the notification for an earlier answer can come late.
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

/** Takes answers in turns of the event loop, as long as any is missing. */
export class AnswerLoop {
  readonly #shared: SharedStore;
  readonly #words: Int32Array;
  readonly #at: number;
  readonly #source: AnswerSource;
  #isRunning = false;

  /** @param at - index of the word that counts answers */
  constructor(shared: SharedStore, words: Int32Array, at: number, source: AnswerSource) {
    this.#shared = shared;
    this.#words = words;
    this.#at = at;
    this.#source = source;
  }

  /** Starts the loop, if it is not running. Called when an answer is waited for. */
  start(): void {
    if (!this.#isRunning) void this.#run();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    let seen: number | undefined; // undefined: answers from before the first check are taken, too
    let quietSince = performance.now();
    while (this.#source.isWaiting()) {
      const count = Atomics.load(this.#words, this.#at); // read before `take`: a later answer changes the word
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
    this.#isRunning = false; // in the same turn as `isWaiting`, or a request made now would wait for ever
  }

  /** Fails what is waited for if the store has ended. Answers from before the end are still taken. */
  #failIfEnded(): void {
    try {
      this.#shared.requireAlive();
    } catch (error) {
      this.#source.take();
      this.#source.fail(error);
    }
  }
}
