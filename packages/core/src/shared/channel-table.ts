/**
 * The channel table: a row of words for each channel of a store. The counters of a row say how many operations its
 * channel has inside which blobs, so that a freezer can wait until a blob has none.
 *
 * A counter is shared by all blobs whose slots are equal modulo the number of counters, so a freezer may wait for an
 * operation in another blob. That is harmless as long as leaving any blob wakes the freezers, and no operation waits
 * for one blob's thaw while it is inside another.
 */

import { assert, BlobstoreError } from '../units/error.js';
import { CHANNEL, CHANNELS_MAX } from './layout.js';

/** The number of counters is a power of two. */
const COUNTER_MASK = CHANNEL.INFLIGHT_COUNTERS - 1;

/** The identity of a thread to the operating system. Thread ids are reused, but not with the same start time. */
export interface ThreadIdentity {
  /** The thread id; 0: unknown. */
  readonly id: number;
  /** When the thread started: a number that the operating system gives; 0: unknown. */
  readonly since: number;
}

/** Counts the operations of a channel inside blobs. Only the channel's own thread uses it, and writes the counters. */
export class Counters {
  readonly #words: Int32Array;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  /** Counts an operation that enters a blob. (`exchange` is faster than `store`, and has the same ordering.) */
  enter(slot: number): void {
    const at = slot & COUNTER_MASK;
    Atomics.exchange(this.#words, at, this.#words[at] + 1);
  }

  /** Counts an operation that leaves a blob. Returns the new value of the counter. */
  leave(slot: number): number {
    const at = slot & COUNTER_MASK;
    const left = this.#words[at] - 1;
    Atomics.exchange(this.#words, at, left);
    return left;
  }
}

/** The channel table. `BYTES` is the size of its buffer. */
export class ChannelTable {
  static readonly BYTES = (CHANNELS_MAX * CHANNEL.WORDS + 2) * 4;
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;

  constructor(buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer(ChannelTable.BYTES);
    this.#words = new Int32Array(this.buffer);
  }

  /** Takes a free row for a thread. Any thread. Throws ENOMEM when all are taken. */
  claim(threadId: number): number {
    for (let row = 0; row < CHANNELS_MAX; row++) {
      const owner = row * CHANNEL.WORDS + CHANNEL.OWNER;
      if (Atomics.compareExchange(this.#words, owner, 0, threadId + 1) !== 0) continue;
      this.#raiseRowsSeen(row + 1);
      return row;
    }
    throw new BlobstoreError('ENOMEM', `all ${CHANNELS_MAX} channels of the store are in use: close some first`);
  }

  /** Frees a row. Its channel must have no operation inside a blob. The owner; the metadata thread for a dead owner. */
  release(row: number): void {
    assert(!this.isInside(row), 'a channel was closed with operations in it');
    const base = row * CHANNEL.WORDS;
    for (const word of [CHANNEL.THREAD_ID, CHANNEL.THREAD_SINCE, CHANNEL.LEAVING, CHANNEL.SHARE]) {
      Atomics.store(this.#words, base + word, 0);
    }
    Atomics.store(this.#words, base + CHANNEL.OWNER, 0);
  }

  /** Clears the counters of a row whose thread is dead. Metadata thread. */
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

  /** Stores the identity of the row's thread. The row's own thread. */
  setThread(row: number, thread: ThreadIdentity): void {
    const base = row * CHANNEL.WORDS;
    Atomics.store(this.#words, base + CHANNEL.THREAD_SINCE, thread.since);
    Atomics.store(this.#words, base + CHANNEL.THREAD_ID, thread.id);
  }

  /**
   * The identity that `setThread` stored; id 0: none, or it is being changed. The id is written last and cleared first,
   * so a start time that is read between two equal ids belongs to that id. If the same thread has freed the row and
   * taken it again in between, the start time can be 0, which counts as none. Any thread.
   */
  thread(row: number): ThreadIdentity {
    const base = row * CHANNEL.WORDS;
    const id = Atomics.load(this.#words, base + CHANNEL.THREAD_ID);
    const since = Atomics.load(this.#words, base + CHANNEL.THREAD_SINCE);
    const isWhole = since !== 0 && Atomics.load(this.#words, base + CHANNEL.THREAD_ID) === id;
    return isWhole ? { id, since } : { id: 0, since: 0 };
  }

  /** Marks that the thread of the row ends without closing its channel. The row's own thread. */
  setLeaving(row: number): void {
    Atomics.store(this.#words, row * CHANNEL.WORDS + CHANNEL.LEAVING, 1);
  }

  /** True once `setLeaving` was called. Any thread. */
  isLeaving(row: number): boolean {
    return Atomics.load(this.#words, row * CHANNEL.WORDS + CHANNEL.LEAVING) !== 0;
  }

  /** Stores the file descriptor that holds the row's share of the lock on the store's file. The row's own thread. */
  setShare(row: number, descriptor: number): void {
    Atomics.store(this.#words, row * CHANNEL.WORDS + CHANNEL.SHARE, descriptor + 1);
  }

  /** The descriptor that `setShare` stored; undefined when the share has been released. Any thread. */
  share(row: number): number | undefined {
    const noted = Atomics.load(this.#words, row * CHANNEL.WORDS + CHANNEL.SHARE);
    return noted === 0 ? undefined : noted - 1;
  }

  /** Removes a share that has been released, unless the row has stored another one since. Any thread. */
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

  /**
   * Adds to the number of freezers that wait, or are about to wait, until a blob is drained. Metadata thread, before it
   * reads the counters.
   */
  addDrainWaiters(delta: 1 | -1): void {
    Atomics.add(this.#words, DRAIN_WAITERS, delta);
  }

  /** True when a freezer may be waiting until a blob is drained. Any thread, after it has left a blob. */
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

/** The word with the number of rows, from the first on, that were ever taken. */
const ROWS_SEEN = CHANNELS_MAX * CHANNEL.WORDS;
/** The word with the number of freezers that wait until a blob is drained. */
const DRAIN_WAITERS = ROWS_SEEN + 1;

function counterAt(row: number, slot: number): number {
  return row * CHANNEL.WORDS + CHANNEL.INFLIGHT + (slot & COUNTER_MASK);
}
