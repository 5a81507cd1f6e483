/**
 * Gates in shared memory, to force an interleaving: operations that come to a shut gate are counted, and stand there until the
 * test lets them go on. Nothing depends on how long anything takes.
 */

const WORD = {
  /** Operations that pass before the next one is held. */
  SKIP: 0,
  /** Operations that are still to be held. */
  TO_HOLD: 1,
  /** Operations that have come and were held. */
  HELD: 2,
  /** Held operations that may go on. */
  LET_GO: 3,
  /** Operations that are still to fail. */
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

  /** How many operations still pass before one is held, of those that `shut` was told. */
  get toSkip(): number {
    return this.#load(WORD.SKIP);
  }

  /** Makes the next operation that comes fail. */
  fail(): void {
    Atomics.store(this.#words, WORD.TO_FAIL, 1);
  }

  /** True once, where `fail` was called. */
  takeFailure(): boolean {
    return this.#takeOne(WORD.TO_FAIL);
  }

  /** Resolves when `count` operations, of all that ever came, stand or have stood at the gate. */
  async held(count = 1): Promise<void> {
    for (let held = this.#load(WORD.HELD); held < count; held = this.#load(WORD.HELD)) {
      const waiting = Atomics.waitAsync(this.#words, WORD.HELD, held);
      if (waiting.async) await waiting.value;
    }
  }

  /** Lets held operations go on, in the order in which they came; and those that are still to come pass. */
  open(): void {
    Atomics.store(this.#words, WORD.TO_HOLD, 0);
    this.letGo(this.#load(WORD.HELD) - this.#load(WORD.LET_GO));
  }

  /** Lets `count` of the held operations go on, in the order in which they came. */
  letGo(count = 1): void {
    Atomics.add(this.#words, WORD.LET_GO, count);
    Atomics.notify(this.#words, WORD.LET_GO);
  }

  /** An operation comes; its thread stops here while it is held. */
  pass(): void {
    const ticket = this.#arrive();
    for (let gone = this.#load(WORD.LET_GO); gone < ticket; gone = this.#load(WORD.LET_GO)) {
      Atomics.wait(this.#words, WORD.LET_GO, gone);
    }
  }

  /** As `pass`, without stopping the thread. */
  async passLater(): Promise<void> {
    const ticket = this.#arrive();
    for (let gone = this.#load(WORD.LET_GO); gone < ticket; gone = this.#load(WORD.LET_GO)) {
      const waiting = Atomics.waitAsync(this.#words, WORD.LET_GO, gone);
      if (waiting.async) await waiting.value;
    }
  }

  /** Answers how many must have been let go for this operation to go on. */
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
