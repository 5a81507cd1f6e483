/** What is under way on a handle, so that closing it can wait for that, and nothing new begins. */

import { BlobstoreError } from '@blobyard/core';
import { coded } from '../failures.js';

export class InFlight {
  readonly #what: string;
  readonly #keepAlive: { begin(): void; end(): void } | undefined;
  #count = 0;
  #isClosed = false;
  #onIdle: (() => void)[] = [];

  /**
   * @param what - for messages, such as "the store"
   * @param keepAlive - told when something begins to be under way, and when nothing is any more
   */
  constructor(what: string, keepAlive?: { begin(): void; end(): void }) {
    this.#what = what;
    this.#keepAlive = keepAlive;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  requireOpen(): void {
    if (this.#isClosed) throw new BlobstoreError('EBADF', `${this.#what} is closed: open it again first`);
  }

  /** Runs an operation; begins in this same call. Throws EBADF once closed. */
  async run<T>(doing: string, operation: () => Promise<T>): Promise<T> {
    this.requireOpen();
    this.#count++;
    if (this.#count === 1) this.#keepAlive?.begin();
    try {
      return await operation();
    } catch (error) {
      throw coded(error, doing);
    } finally {
      this.#count--;
      if (this.#count === 0) this.#wake();
    }
  }

  /** Runs an operation that ends before this call does. Throws EBADF once closed. */
  runSync<T>(doing: string, operation: () => T): T {
    this.requireOpen();
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

  /** Takes `close` back. */
  reopen(): void {
    this.#isClosed = false;
  }

  #wake(): void {
    this.#keepAlive?.end();
    const waiters = this.#onIdle;
    this.#onIdle = [];
    for (const resolve of waiters) resolve();
  }
}
