/** A promise that is resolved or rejected from outside. */
export class Deferred {
  resolve!: () => void;
  reject!: (error: unknown) => void;
  readonly promise = new Promise<void>((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });

  constructor() {
    this.promise.catch(ignore); // there may be nobody who waits for it
  }
}

/** Marks a rejection as seen. */
function ignore(): undefined {
  return undefined;
}
