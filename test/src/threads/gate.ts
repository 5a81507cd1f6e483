/**
 * Gates in shared memory, with which a test forces an interleaving: operations that come to a shut gate are counted,
 * and wait until the test lets them go on. So a test does not depend on time.
 */

const WORD = {
  /** The number of operations that pass before one is held. */
  SKIP: 0,
  /** The number of operations that will be held. */
  TO_HOLD: 1,
  /** The number of operations that were held so far. */
  HELD: 2,
  /** The number of held operations that may go on. */
  LET_GO: 3,
  /** The number of operations that will fail. */
  TO_FAIL: 4,
  WORDS: 5,
} as const;

const PASSES = 0;

export class Gate {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(WORD.WORDS * 4)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
  }

  /** Holds the next `count` operations that come, after `skip` that pass. */
  shut(count = 1, skip = 0): void {
    Atomics.store(this.#words, WORD.SKIP, skip);
    Atomics.store(this.#words, WORD.TO_HOLD, count);
  }

  /** The number of operations that still pass before one is held. */
  get toSkip(): number {
    return this.#load(WORD.SKIP);
  }

  /** Makes the next operation that comes fail. */
  fail(): void {
    Atomics.store(this.#words, WORD.TO_FAIL, 1);
  }

  /** True once after each call of `fail`. */
  takeFailure(): boolean {
    return this.#takeOne(WORD.TO_FAIL);
  }

  /** Resolves when `count` operations were held in total, whether they have gone on or not. */
  async held(count = 1): Promise<void> {
    for (let held = this.#load(WORD.HELD); held < count; held = this.#load(WORD.HELD)) {
      const waiting = Atomics.waitAsync(this.#words, WORD.HELD, held);
      if (waiting.async) await waiting.value;
    }
  }

  /** Lets all held operations go on, in the order of their arrival. Later ones pass. */
  open(): void {
    Atomics.store(this.#words, WORD.TO_HOLD, 0);
    this.letGo(this.#load(WORD.HELD) - this.#load(WORD.LET_GO));
  }

  /** Lets `count` of the held operations go on, in the order of their arrival. */
  letGo(count = 1): void {
    Atomics.add(this.#words, WORD.LET_GO, count);
    Atomics.notify(this.#words, WORD.LET_GO);
  }

  /** Passes the gate. Blocks the calling thread while it is held. */
  pass(): void {
    const ticket = this.#arrive();
    for (let gone = this.#load(WORD.LET_GO); gone < ticket; gone = this.#load(WORD.LET_GO)) {
      Atomics.wait(this.#words, WORD.LET_GO, gone);
    }
  }

  /** As `pass`, without blocking the thread. */
  async passLater(): Promise<void> {
    const ticket = this.#arrive();
    for (let gone = this.#load(WORD.LET_GO); gone < ticket; gone = this.#load(WORD.LET_GO)) {
      const waiting = Atomics.waitAsync(this.#words, WORD.LET_GO, gone);
      if (waiting.async) await waiting.value;
    }
  }

  /** Returns the value of `LET_GO` at which this operation may go on. */
  #arrive(): number {
    if (this.#takeOne(WORD.SKIP) || !this.#takeOne(WORD.TO_HOLD)) return PASSES;
    const ticket = Atomics.add(this.#words, WORD.HELD, 1) + 1;
    Atomics.notify(this.#words, WORD.HELD);
    return ticket;
  }

  #takeOne(word: number): boolean {
    for (let left = this.#load(word); left > 0; left = this.#load(word)) {
      if (Atomics.compareExchange(this.#words, word, left, left - 1) === left) return true;
    }
    return false;
  }

  #load(word: number): number {
    return Atomics.load(this.#words, word);
  }
}
