/**
 * A channel's side of its mailbox. Requests are `Waitable`: an operation waits for the answer by a promise, or blocks
 * its thread.
 */

import { type BlobstoreError, type SharedStore, STORE_END, type Waitable } from '@blobyard/core';
import { Spin } from '../threads/spin.js';
import { AnswerLoop, blockWhile, LONGEST_SLEEP_MS } from './answer-wait.js';
import { readError } from './error-text.js';
import {
  Mailbox,
  REQUEST,
  REQUESTS_MAX,
  type Request,
  ring,
  SLOT,
  STATE,
  slotsNeeded,
  TEXT_TOO_LONG,
} from './mailbox.js';

const decoder = new TextDecoder();

/** The results of a request. */
export interface MailboxAnswer {
  readonly first: number;
  readonly second: number;
  readonly third: number;
  /** The name of an opened blob, or '' if it has none; undefined when the name is too long for a mailbox. */
  readonly text: string | undefined;
}

interface Pending {
  readonly slot: number;
  resolve(answer: MailboxAnswer): void;
  reject(error: unknown): void;
}

/** Only the row's thread uses it. */
export class MailboxClient {
  readonly #shared: SharedStore;
  readonly #row: number;
  readonly #mailbox: Mailbox;
  readonly #words: Int32Array;
  readonly #freeSlots: number[] = Array.from({ length: REQUESTS_MAX }, (_, index) => REQUESTS_MAX - 1 - index);
  /** Requests in promise form that have not been answered. */
  #pending: Pending[] = [];
  /** Requests in promise form that wait for a slot, in order, by the number of free slots that they need. */
  readonly #queues = new Map<number, (() => void)[]>();
  readonly #reaping: AnswerLoop;
  readonly #spin = new Spin();

  /** @param row - the caller's row of the channel table; nothing in its mailbox may be in use */
  constructor(shared: SharedStore, mailboxes: SharedArrayBuffer, row: number) {
    this.#shared = shared;
    this.#row = row;
    this.#mailbox = new Mailbox(mailboxes, row);
    this.#words = this.#mailbox.words;
    this.#reaping = new AnswerLoop(shared, this.#words, this.#mailbox.doneAt, {
      isWaiting: () => this.#pending.length > 0,
      take: () => this.#reap(),
      fail: (error) => this.#failAll(error),
    });
  }

  /** The number of requests that have not been answered, including those that wait for a slot. */
  get underWay(): number {
    let queued = 0;
    for (const queue of this.#queues.values()) queued += queue.length;
    return REQUESTS_MAX - this.#freeSlots.length + queued;
  }

  /**
   * A request. It is sent when `promise` or `block` is called. Fails with the error that the metadata thread answered,
   * and with EIO or EBADF once the store has ended.
   */
  request(request: Request, ...args: readonly number[]): Waitable<MailboxAnswer> {
    return this.requestAnd(undefined, request, ...args);
  }

  /** As `request`. @param meanwhile - called once, when the request has been sent; it must not throw */
  requestAnd(
    meanwhile: (() => void) | undefined,
    request: Request,
    ...args: readonly number[]
  ): Waitable<MailboxAnswer> {
    return {
      promise: () => this.#promise(request, args, meanwhile),
      block: () => this.#block(request, args, meanwhile),
    };
  }

  /** Wakes the metadata thread, which then checks the counters of operations inside blobs. */
  poke(): void {
    ring(this.#words, this.#row);
  }

  #promise(request: Request, args: readonly number[], meanwhile: (() => void) | undefined): Promise<MailboxAnswer> {
    return new Promise((resolve, reject) => {
      const start = () => {
        try {
          this.#shared.requireAlive();
          const slot = this.#freeSlots.pop() as number;
          this.#pending.push({ slot, resolve, reject });
          this.#submit(slot, request, args);
          meanwhile?.();
        } catch (error) {
          reject(error);
        }
      };
      const hasEnded = this.#shared.end !== STORE_END.OPEN; // then no more slots become free, and `start` rejects
      const needed = slotsNeeded(request);
      if (this.#freeSlots.length >= needed || hasEnded) start();
      else this.#enqueue(needed, start);
      this.#reaping.start();
    });
  }

  #block(request: Request, args: readonly number[], meanwhile: (() => void) | undefined): MailboxAnswer {
    this.#shared.requireAlive();
    const slot = this.#waitForSlot(slotsNeeded(request));
    this.#submit(slot, request, args);
    meanwhile?.();
    blockWhile(this.#shared, this.#words, this.#mailbox.slotAt(slot) + SLOT.STATE, STATE.SUBMITTED, this.#spin);
    return this.#collect(slot);
  }

  /**
   * Blocks until enough slots are free, and takes one. The slots in use have requests in promise form, whose answers
   * this takes while it waits.
   */
  #waitForSlot(needed: number): number {
    for (;;) {
      if (this.#freeSlots.length >= needed) return this.#freeSlots.pop() as number;
      const done = Atomics.load(this.#words, this.#mailbox.doneAt);
      this.#reap();
      if (this.#freeSlots.length >= needed) continue;
      this.#shared.requireAlive();
      Atomics.wait(this.#words, this.#mailbox.doneAt, done, LONGEST_SLEEP_MS);
    }
  }

  #submit(slot: number, request: Request, args: readonly number[]): void {
    const words = this.#words;
    const at = this.#mailbox.slotAt(slot);
    words[at + SLOT.OP] = request;
    for (let index = 0; index < args.length; index++) words[at + SLOT.ARGUMENTS + index] = args[index];
    Atomics.store(words, at + SLOT.STATE, STATE.SUBMITTED);
    const submission = words[this.#mailbox.submittedAt];
    words[this.#mailbox.ringAt(submission)] = slot;
    Atomics.store(words, this.#mailbox.submittedAt, submission + 1);
    ring(words, this.#row);
  }

  /**
   * Returns the answer in a slot that is done, and frees the slot. Throws the error that the metadata thread answered.
   */
  #collect(slot: number): MailboxAnswer {
    const words = this.#words;
    const at = this.#mailbox.slotAt(slot);
    const errno = words[at + SLOT.ERRNO];
    const first = words[at + SLOT.RESULTS] >>> 0;
    const second = words[at + SLOT.RESULTS + 1];
    const third = words[at + SLOT.RESULTS + 2];
    let error: BlobstoreError | undefined;
    let text: string | undefined;
    if (errno !== 0) error = readError(errno, this.#mailbox.text(slot), words[at + SLOT.TEXT_BYTES]);
    else if (words[at + SLOT.OP] === REQUEST.OPEN) text = this.#textOf(slot, words[at + SLOT.TEXT_BYTES]);
    Atomics.store(words, at + SLOT.STATE, STATE.FREE);
    this.#freeSlots.push(slot);
    if (error) throw error;
    return { first, second, third, text };
  }

  #textOf(slot: number, bytes: number): string | undefined {
    if (bytes === 0) return '';
    return bytes === TEXT_TOO_LONG ? undefined : decoder.decode(this.#mailbox.text(slot).slice(0, bytes));
  }

  /** Takes the answers that are there. */
  #reap(): void {
    const pending = this.#pending;
    this.#pending = [];
    for (const each of pending) {
      if (Atomics.load(this.#words, this.#mailbox.slotAt(each.slot) + SLOT.STATE) !== STATE.DONE) {
        this.#pending.push(each);
        continue;
      }
      try {
        each.resolve(this.#collect(each.slot));
      } catch (error) {
        each.reject(error);
      }
    }
    for (const [needed, queue] of this.#queues) {
      while (queue.length > 0 && this.#freeSlots.length >= needed) queue.shift()?.();
    }
  }

  #enqueue(needed: number, start: () => void): void {
    const queue = this.#queues.get(needed);
    if (queue) queue.push(start);
    else this.#queues.set(needed, [start]);
  }

  #failAll(error: unknown): void {
    const pending = this.#pending;
    this.#pending = [];
    for (const { reject } of pending) reject(error);
    for (const queue of this.#queues.values()) {
      for (const start of queue.splice(0)) start(); // each finds that the store has ended, and rejects
    }
  }
}
