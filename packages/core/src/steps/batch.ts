/** Runs many operations even if some fail, and throws the first error at the end. */

import { ENDED, type MaybePromise, type Steps } from './steps.js';

/** Runs operations one after another, each even if an earlier one failed. The first error is kept for `end`. */
export class Attempts {
  #failure: { readonly error: unknown } | undefined;

  /** Runs one operation to its end; keeps its error instead of throwing it. */
  *attempt(begin: () => Steps<void>): Steps<void> {
    try {
      yield* begin();
    } catch (error) {
      this.#failure ??= { error };
    }
  }

  /** Throws the first error, if any operation failed. */
  end(): void {
    if (this.#failure) throw this.#failure.error;
  }
}

/**
 * Starts device operations that may be in flight together. The first error is kept, and thrown by `close` when all have
 * ended.
 */
export class Batch {
  readonly #pending: Promise<void>[] = [];
  #failed = false;
  #error: unknown;

  /** Starts an operation, unless an earlier one has failed already. Does not throw. */
  add(start: () => MaybePromise<void>): void {
    if (this.#failed) return;
    try {
      const answer = start();
      if (answer instanceof Promise) this.#pending.push(answer.catch((error) => this.#fail(error)));
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Waits until all operations have ended, then throws the first error, if there is one. */
  close(): Steps<void> {
    if (this.#pending.length > 0) return this.#closeLater();
    if (this.#failed) throw this.#error;
    return ENDED;
  }

  *#closeLater(): Steps<void> {
    yield Promise.all(this.#pending);
    if (this.#failed) throw this.#error;
  }

  #fail(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#error = error;
  }
}
