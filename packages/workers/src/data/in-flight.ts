/** Counts the operations under way on a handle, so that closing it can wait for them and refuse new ones. */

import { BlobstoreError } from '@blobyard/core';
import { coded } from '../api/failures.js';
import type { LoopTurns } from './loop-turns.js';

/** Called when the first operation begins, and when the last one has ended. */
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
   * @param what - the name of the handle in messages, such as "the store"
   * @param turns - lets the event loop run after an operation that has not done so itself. Absent if every operation
   * waits for other threads anyway
   */
  constructor(what: string, busy?: Busy, turns?: LoopTurns) {
    this.#what = what;
    this.#busy = busy;
    this.#turns = turns;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** True while new operations may begin. */
  get isUsable(): boolean {
    return !this.#isClosed && this.#failure === undefined;
  }

  /** True while operations are under way. */
  get isBusy(): boolean {
    return this.#count > 0;
  }

  /** Throws EBADF if the handle is closed, and the error given to `fail`, if any. */
  requireOpen(): void {
    if (this.#isClosed) throw new BlobstoreError('EBADF', `${this.#what} is closed: open it again first`);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Fails new operations with this error from now on. */
  fail(failure: BlobstoreError): void {
    this.#failure = failure;
  }

  /** Counts an operation that begins. The caller must call `end` after it. */
  begin(): void {
    if (this.#count++ === 0) this.#busy?.begin();
  }

  end(): void {
    if (--this.#count > 0) return;
    this.#busy?.end();
    this.#wake();
  }

  /** Runs an operation, which begins in this same call. Throws EBADF if the handle is closed. */
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

  /** Runs a synchronous operation. Throws EBADF if the handle is closed. */
  runSync<T>(doing: string, operation: () => T): T {
    this.requireOpen();
    this.#turns?.beginWaiting();
    try {
      return operation();
    } catch (error) {
      throw coded(error, doing);
    }
  }

  /** Refuses new operations from now on, and waits for those under way. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#count > 0) await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }

  /** Same as `close`, if nothing is under way. */
  closeIdle(): void {
    this.#isClosed = true;
  }

  /** Undoes `close`. */
  reopen(): void {
    this.#isClosed = false;
  }

  #wake(): void {
    const waiters = this.#onIdle;
    this.#onIdle = [];
    for (const resolve of waiters) resolve();
  }
}
