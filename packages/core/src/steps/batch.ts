/** Many operations of which all are tried, or all begun, and the first error is thrown at the end. */

import type { MaybePromise, Steps } from './steps.js';

/** Operations one after another, each of them whether those before have failed or not. The first error is kept. */
export class Attempts {
  #failure: { readonly error: unknown } | undefined;

  *attempt(begin: () => Steps<void>): Steps<void> {
    try {
      yield* begin();
    } catch (error) {
      this.#failure ??= { error };
    }
  }

  /** Throws the first error. */
  end(): void {
    if (this.#failure) throw this.#failure.error;
  }
}

/** Device operations that may be under way together. The first error is kept, and thrown when all have ended. */
export class Batch {
  readonly #pending: Promise<void>[] = [];
  #failed = false;
  #error: unknown;

  /** Starts an operation, unless one before it has failed already. */
  add(start: () => MaybePromise<void>): void {
    if (this.#failed) return;
    try {
      const answer = start();
      if (answer instanceof Promise) this.#pending.push(answer.catch((error) => this.#fail(error)));
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Waits for all operations. */
  *close(): Steps<void> {
    if (this.#pending.length > 0) yield Promise.all(this.#pending);
    if (this.#failed) throw this.#error;
  }

  #fail(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#error = error;
  }
}
