/** What is under way on a handle, so that closing it can wait for that, and nothing new begins. */

import { BlobstoreError } from '@blobyard/core';
import { coded } from '../api/failures.js';
import type { LoopTurns } from './loop-turns.js';

/** Told when something begins to be under way, and when nothing is any more. */
export interface Busy {
  begin(): void;
  end(): void;
}

export class InFlight {
  readonly #what: string;
  readonly #busy: Busy | undefined;
  readonly #turns: LoopTurns | undefined;
  #count = 0;
  #isClosed = false;
  #failure: BlobstoreError | undefined;
  #onIdle: (() => void)[] = [];

  /**
   * @param what - for messages, such as "the store"
   * @param turns - by which an operation lets the event loop turn that has not done so itself; absent: each waits for other threads
   */
  constructor(what: string, busy?: Busy, turns?: LoopTurns) {
    this.#what = what;
    this.#busy = busy;
    this.#turns = turns;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** True while `begin` can be called. */
  get isUsable(): boolean {
    return !this.#isClosed && this.#failure === undefined;
  }

  /** True while something is under way. */
  get isBusy(): boolean {
    return this.#count > 0;
  }

  requireOpen(): void {
    if (this.#isClosed) throw new BlobstoreError('EBADF', `${this.#what} is closed: open it again first`);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Refuses what is new from now on with an error: what it needs has gone. */
  fail(failure: BlobstoreError): void {
    this.#failure = failure;
  }

  /** An operation begins. `end` it. */
  begin(): void {
    if (this.#count++ === 0) this.#busy?.begin();
  }

  end(): void {
    if (--this.#count > 0) return;
    this.#busy?.end();
    this.#wake();
  }

  /** Runs an operation; begins in this same call. Throws EBADF once closed. */
  async run<T>(doing: string, operation: () => Promise<T>): Promise<T> {
    this.requireOpen();
    this.begin();
    const passed = this.#turns?.passed;
    try {
      return await operation();
    } catch (error) {
      throw coded(error, doing);
    } finally {
      const turn = this.#turns?.passed === passed ? this.#turns?.pass(true) : undefined;
      if (turn !== undefined) await turn;
      this.end();
    }
  }

  /** Runs an operation that ends before this call does. Throws EBADF once closed. */
  runSync<T>(doing: string, operation: () => T): T {
    this.requireOpen();
    this.#turns?.beginWaiting();
    try {
      return operation();
    } catch (error) {
      throw coded(error, doing);
    }
  }

  /** Refuses what is new from now on, and waits for what is under way. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#count > 0) await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }

  /** As `close`, when nothing is under way. */
  closeIdle(): void {
    this.#isClosed = true;
  }

  /** Takes `close` back. */
  reopen(): void {
    this.#isClosed = false;
  }

  #wake(): void {
    const waiters = this.#onIdle;
    this.#onIdle = [];
    for (const resolve of waiters) resolve();
  }
}
