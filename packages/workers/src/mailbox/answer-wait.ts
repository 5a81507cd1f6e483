/**
 * How the thread of a channel waits for the metadata thread's answers: on a word of its mailbox, which changes when an
 * answer is there. The blocking form polls before it sleeps, if polling has paid lately (`Spin`): a metadata thread
 * that is awake answers faster than a sleeping thread can be woken. Promise forms do not poll: their thread has other
 * things to do, and if it is woken when several answers are there, it takes them all.
 */

import type { SharedStore } from '@blobyard/core';
import type { Spin } from '../threads/spin.js';

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
 * @param spin - what polling has found in this thread's earlier waits for words of this kind
 */
export function blockWhile(shared: SharedStore, words: Int32Array, at: number, value: number, spin: Spin): void {
  if (spin.until(() => Atomics.load(words, at) !== value)) return;
  while (Atomics.load(words, at) === value) {
    if (Atomics.wait(words, at, value, LONGEST_SLEEP_MS) !== 'timed-out') continue;
    if (Atomics.load(words, at) === value) shared.requireAlive();
  }
}

/** Takes answers in the event loop, as long as any is missing. Between answers it sleeps until the word changes. */
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
    // A timer, not a timeout of each wait: V8 keeps a timeout until it expires, even if its wait has ended before.
    const looks = setInterval(() => Atomics.notify(this.#words, this.#at), LONGEST_SLEEP_MS);
    looks.unref();
    let seen: number | undefined; // undefined at first, so that answers from before the first check are taken, too
    while (this.#source.isWaiting()) {
      const count = Atomics.load(this.#words, this.#at); // read before `take`: a later answer changes the word
      if (count !== seen) {
        seen = count;
        this.#source.take();
        continue;
      }
      const waiting = Atomics.waitAsync(this.#words, this.#at, count);
      if (waiting.async) await waiting.value;
      this.#failIfEnded();
    }
    clearInterval(looks);
    this.#isRunning = false; // in the same turn as the last `isWaiting`: a request that is made later must start the loop again
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
