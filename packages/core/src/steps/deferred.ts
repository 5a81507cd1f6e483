/** A promise with its `resolve` and `reject` functions. */
export class Deferred {
  resolve!: () => void;
  reject!: (error: unknown) => void;
  readonly promise = new Promise<void>((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });

  constructor() {
    this.promise.catch(ignore); // without this, a rejection that nothing waits for would end the process
  }
}

/** Marks a rejection as seen. */
function ignore(): undefined {
  return undefined;
}
