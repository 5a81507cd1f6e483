/**
 * A channel's side of its mailbox. Requests are `Waitable`: the operation that asks waits by a promise, or stops its thread.
 * Both polls a while before they sleep: when the metadata thread is awake it answers sooner than a thread can be woken.
 */

import { type BlobstoreError, type SharedStore, STORE_END, type Waitable } from '@blobyard/core';
import { readError } from './error-text.js';
import { Mailbox, REQUESTS_MAX, type Request, ring, SLOT, STATE } from './mailbox.js';

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
/** Looks at a slot between two at the clock. */
const LOOKS = 200;
/** Longest sleep before the waiter looks whether the store has ended, in milliseconds. */
const SLEEP_MS = 100;

/** The results of a request. */
export interface MailboxAnswer {
  readonly first: number;
  readonly second: number;
}

interface Pending {
  readonly slot: number;
  resolve(answer: MailboxAnswer): void;
  reject(error: unknown): void;
}

export class MailboxClient {
  readonly #shared: SharedStore;
  readonly #row: number;
  readonly #mailbox: Mailbox;
  readonly #words: Int32Array;
  readonly #freeSlots: number[] = Array.from({ length: REQUESTS_MAX }, (_, index) => REQUESTS_MAX - 1 - index);
  /** Requests in promise form that have not been answered. */
  #pending: Pending[] = [];
  /** Those that wait for a slot, in order. */
  readonly #queue: (() => void)[] = [];
  #isReaping = false;

  /** @param row - of the channel table, the caller's; nothing of its mailbox may be in use */
  constructor(shared: SharedStore, mailboxes: SharedArrayBuffer, row: number) {
    this.#shared = shared;
    this.#row = row;
    this.#mailbox = new Mailbox(mailboxes, row);
    this.#words = this.#mailbox.words;
  }

  /** Requests that have not been answered, those that wait for a slot included. */
  get underWay(): number {
    return REQUESTS_MAX - this.#freeSlots.length + this.#queue.length;
  }

  /** A request, sent when it is waited for. Fails as the metadata thread says, and with EIO or EBADF once the store has ended. */
  request(request: Request, ...args: readonly number[]): Waitable<MailboxAnswer> {
    return this.requestAnd(undefined, request, ...args);
  }

  /** As `request`. @param meanwhile - done once, when the request has been sent; it must not throw */
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

  /** Wakes the metadata thread, which looks at the counters of who is inside which blob. */
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
      const hasEnded = this.#shared.end !== STORE_END.OPEN; // then no slot becomes free any more
      if (this.#freeSlots.length > 0 || hasEnded) start();
      else this.#queue.push(start);
      if (!this.#isReaping) void this.#reapUntilIdle();
    });
  }

  #block(request: Request, args: readonly number[], meanwhile: (() => void) | undefined): MailboxAnswer {
    this.#shared.requireAlive();
    const slot = this.#freeSlots.pop() ?? this.#waitForSlot();
    this.#submit(slot, request, args);
    meanwhile?.();
    this.#waitForAnswer(slot);
    return this.#collect(slot);
  }

  /** All slots are with requests in promise form, whose answers this thread takes while it waits. */
  #waitForSlot(): number {
    for (;;) {
      const done = Atomics.load(this.#words, this.#mailbox.doneAt);
      this.#reap();
      const slot = this.#freeSlots.pop();
      if (slot !== undefined) return slot;
      this.#shared.requireAlive();
      Atomics.wait(this.#words, this.#mailbox.doneAt, done, SLEEP_MS);
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

  #waitForAnswer(slot: number): void {
    const state = this.#mailbox.slotAt(slot) + SLOT.STATE;
    const end = performance.now() + SPIN_MS;
    do {
      for (let looks = 0; looks < LOOKS; looks++) {
        if (Atomics.load(this.#words, state) === STATE.DONE) return;
      }
    } while (performance.now() < end);
    // The notification for the answer before this one may come only now: it ends a sleep, and says nothing.
    while (Atomics.load(this.#words, state) !== STATE.DONE) {
      if (Atomics.wait(this.#words, state, STATE.SUBMITTED, SLEEP_MS) === 'timed-out') this.#shared.requireAlive();
    }
  }

  /** The answer in a slot that is done; the slot is free then. Throws what the metadata thread answered. */
  #collect(slot: number): MailboxAnswer {
    const words = this.#words;
    const at = this.#mailbox.slotAt(slot);
    const errno = words[at + SLOT.ERRNO];
    const first = words[at + SLOT.RESULTS] >>> 0;
    const second = words[at + SLOT.RESULTS + 1];
    let error: BlobstoreError | undefined;
    if (errno !== 0) error = readError(errno, this.#mailbox.text(slot), words[at + SLOT.TEXT_BYTES]);
    Atomics.store(words, at + SLOT.STATE, STATE.FREE);
    this.#freeSlots.push(slot);
    if (error) throw error;
    return { first, second };
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
    while (this.#queue.length > 0 && this.#freeSlots.length > 0) this.#queue.shift()?.();
  }

  async #reapUntilIdle(): Promise<void> {
    this.#isReaping = true;
    let seen: number | undefined; // what was answered before the first look is there
    let quietSince = performance.now();
    while (this.#pending.length > 0) {
      const done = Atomics.load(this.#words, this.#mailbox.doneAt);
      if (done !== seen) {
        seen = done;
        this.#reap();
        quietSince = performance.now();
      } else if (performance.now() - quietSince < POLL_MS) {
        await new Promise((resolve) => setImmediate(resolve));
      } else {
        await this.#sleep(done);
        quietSince = performance.now();
      }
    }
    this.#isReaping = false;
  }

  async #sleep(done: number): Promise<void> {
    const waiting = Atomics.waitAsync(this.#words, this.#mailbox.doneAt, done, SLEEP_MS);
    if (waiting.async) await waiting.value;
    try {
      this.#shared.requireAlive();
    } catch (error) {
      const pending = this.#pending;
      this.#pending = [];
      for (const { reject } of pending) reject(error);
      for (const start of this.#queue.splice(0)) start(); // which finds the same
    }
  }
}
