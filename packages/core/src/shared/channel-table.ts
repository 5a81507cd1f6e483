/**
 * The channel table: a row of words for each channel of a store. A row's counters say how many operations its channel has
 * inside which blobs, so that whoever freezes a blob can wait until none is. Counters are shared by the blobs whose slots are
 * equal modulo their number: a freezer may then wait for a stranger's operation. That is harmless as long as whoever leaves any
 * blob wakes the freezers, and no operation waits for one blob's thaw while it is inside another.
 */

import { assert, BlobstoreError } from '../units/error.js';
import { CHANNEL, CHANNELS_MAX } from './layout.js';

/** Counters are as many as a power of two. */
const COUNTER_MASK = CHANNEL.INFLIGHT_COUNTERS - 1;

/** A thread as the operating system knows it: numbers come again, but not with the same beginning. */
export interface ThreadIdentity {
  /** Its number; 0: unknown. */
  readonly id: number;
  readonly since: number;
}

/** How many operations a channel has inside which blobs. The channel's own thread, which alone writes them. */
export class Counters {
  readonly #words: Int32Array;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  /** An operation goes into a blob. (Exchanging is faster than storing, and as ordered.) */
  enter(slot: number): void {
    const at = slot & COUNTER_MASK;
    Atomics.exchange(this.#words, at, this.#words[at] + 1);
  }

  /** An operation leaves a blob; answers how many are left in the counter. */
  leave(slot: number): number {
    const at = slot & COUNTER_MASK;
    const left = this.#words[at] - 1;
    Atomics.exchange(this.#words, at, left);
    return left;
  }
}

export class ChannelTable {
  static readonly BYTES = (CHANNELS_MAX * CHANNEL.WORDS + 2) * 4;
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;

  constructor(buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer(ChannelTable.BYTES);
    this.#words = new Int32Array(this.buffer);
  }

  /** Takes a free row for a thread. Any thread. ENOMEM when all are taken. */
  claim(threadId: number): number {
    for (let row = 0; row < CHANNELS_MAX; row++) {
      const owner = row * CHANNEL.WORDS + CHANNEL.OWNER;
      if (Atomics.compareExchange(this.#words, owner, 0, threadId + 1) !== 0) continue;
      this.#raiseRowsSeen(row + 1);
      return row;
    }
    throw new BlobstoreError('ENOMEM', `all ${CHANNELS_MAX} channels of the store are in use: close some first`);
  }

  /** Gives a row back; nothing may be inside it. */
  release(row: number): void {
    assert(!this.isInside(row), 'a channel was closed with operations in it');
    const base = row * CHANNEL.WORDS;
    for (const word of [CHANNEL.THREAD_ID, CHANNEL.THREAD_SINCE, CHANNEL.LEAVING, CHANNEL.SHARE]) {
      Atomics.store(this.#words, base + word, 0);
    }
    Atomics.store(this.#words, base + CHANNEL.OWNER, 0);
  }

  /** The channel of a thread that is dead leaves whatever it was inside of. Metadata thread. */
  leaveAll(row: number): void {
    const base = row * CHANNEL.WORDS;
    for (let counter = 0; counter < CHANNEL.INFLIGHT_COUNTERS; counter++) Atomics.store(this.#words, base + counter, 0);
  }

  /** True while the row's channel has an operation inside any blob. */
  isInside(row: number): boolean {
    const base = row * CHANNEL.WORDS;
    for (let counter = 0; counter < CHANNEL.INFLIGHT_COUNTERS; counter++) {
      if (Atomics.load(this.#words, base + counter) !== 0) return true;
    }
    return false;
  }

  /** Notes by what the operating system knows the row's thread. The row's own thread. */
  setThread(row: number, thread: ThreadIdentity): void {
    const base = row * CHANNEL.WORDS;
    Atomics.store(this.#words, base + CHANNEL.THREAD_SINCE, thread.since);
    Atomics.store(this.#words, base + CHANNEL.THREAD_ID, thread.id);
  }

  /**
   * What `setThread` noted; id 0: nothing, or it is changing just now. The id is written last and cleared first: what is read
   * between two equal ids belongs to them, unless the same thread has given the row back and taken it again; then it can be 0.
   * Any thread.
   */
  thread(row: number): ThreadIdentity {
    const base = row * CHANNEL.WORDS;
    const id = Atomics.load(this.#words, base + CHANNEL.THREAD_ID);
    const since = Atomics.load(this.#words, base + CHANNEL.THREAD_SINCE);
    const isWhole = since !== 0 && Atomics.load(this.#words, base + CHANNEL.THREAD_ID) === id;
    return isWhole ? { id, since } : { id: 0, since: 0 };
  }

  /** Says that the row's thread ends as it is. The row's own thread. */
  setLeaving(row: number): void {
    Atomics.store(this.#words, row * CHANNEL.WORDS + CHANNEL.LEAVING, 1);
  }

  isLeaving(row: number): boolean {
    return Atomics.load(this.#words, row * CHANNEL.WORDS + CHANNEL.LEAVING) !== 0;
  }

  /** Notes by which descriptor the row's thread has a share of the lock on the store's file. The row's own thread. */
  setShare(row: number, descriptor: number): void {
    Atomics.store(this.#words, row * CHANNEL.WORDS + CHANNEL.SHARE, descriptor + 1);
  }

  /** What `setShare` noted; undefined when it is given back. Any thread. */
  share(row: number): number | undefined {
    const noted = Atomics.load(this.#words, row * CHANNEL.WORDS + CHANNEL.SHARE);
    return noted === 0 ? undefined : noted - 1;
  }

  /** The share that was noted is given back; the row may have noted another since. Any thread. */
  clearShare(row: number, descriptor: number): void {
    Atomics.compareExchange(this.#words, row * CHANNEL.WORDS + CHANNEL.SHARE, descriptor + 1, 0);
  }

  /** True while a channel has the row. Any thread. */
  isTaken(row: number): boolean {
    return Atomics.load(this.#words, row * CHANNEL.WORDS + CHANNEL.OWNER) !== 0;
  }

  /** The counters of a row. The row's own thread. */
  counters(row: number): Counters {
    return new Counters(new Int32Array(this.buffer, row * CHANNEL.WORDS * 4, CHANNEL.INFLIGHT_COUNTERS));
  }

  /** True when no channel has an operation inside the blob of a slot. Metadata thread. */
  isDrained(slot: number): boolean {
    const rows = Atomics.load(this.#words, ROWS_SEEN);
    for (let row = 0; row < rows; row++) {
      if (Atomics.load(this.#words, counterAt(row, slot)) !== 0) return false;
    }
    return true;
  }

  /** Who waits, or is about to, until a blob is drained: 1 more, or 1 less. Metadata thread; before it looks at the counters. */
  addDrainWaiters(delta: 1 | -1): void {
    Atomics.add(this.#words, DRAIN_WAITERS, delta);
  }

  /** True when somebody may wait until a blob is drained. Any thread; after it has left one. */
  get hasDrainWaiters(): boolean {
    return Atomics.load(this.#words, DRAIN_WAITERS) !== 0;
  }

  #raiseRowsSeen(rows: number): void {
    let seen = Atomics.load(this.#words, ROWS_SEEN);
    while (seen < rows) {
      const found = Atomics.compareExchange(this.#words, ROWS_SEEN, seen, rows);
      if (found === seen) return;
      seen = found;
    }
  }
}

/** How many rows, from the first on, have ever been taken. */
const ROWS_SEEN = CHANNELS_MAX * CHANNEL.WORDS;
/** How many freezers wait until a blob is drained. */
const DRAIN_WAITERS = ROWS_SEEN + 1;

function counterAt(row: number, slot: number): number {
  return row * CHANNEL.WORDS + CHANNEL.INFLIGHT + (slot & COUNTER_MASK);
}
