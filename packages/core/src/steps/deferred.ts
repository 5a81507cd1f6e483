/**
 * A promise that is settled from outside. Most are never waited for, and making a promise with its `catch` handler
 * costs more than everything else in this class. So the promise is made when it is first asked for.
 */
export class Deferred {
  #promise: Promise<void> | undefined;
  #resolve: (() => void) | undefined;
  #reject: ((error: unknown) => void) | undefined;
  #outcome: 'pending' | 'resolved' | 'rejected' = 'pending';
  #error: unknown;

  get promise(): Promise<void> {
    this.#promise ??= this.#make();
    return this.#promise;
  }

  /** Resolves the promise, unless it is settled already. */
  resolve(): void {
    if (this.#outcome !== 'pending') return;
    this.#outcome = 'resolved';
    this.#resolve?.();
  }

  /** Rejects the promise, unless it is settled already. */
  reject(error: unknown): void {
    if (this.#outcome !== 'pending') return;
    this.#outcome = 'rejected';
    this.#error = error;
    this.#reject?.(error);
  }

  #make(): Promise<void> {
    const promise = new Promise<void>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    promise.catch(ignore); // without this, a rejection that nothing waits for would end the process
    if (this.#outcome === 'resolved') this.#resolve?.();
    if (this.#outcome === 'rejected') this.#reject?.(this.#error);
    return promise;
  }
}

/** A `catch` handler that does nothing. A rejection with a handler does not end the process. */
function ignore(): undefined {
  return undefined;
}
