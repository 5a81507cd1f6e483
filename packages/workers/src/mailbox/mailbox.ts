/**
 * Mailboxes: requests of channels on other threads to the metadata thread, in shared memory. Each row of the channel
 * table has one.
 *
 * The one table of their words (32 bits each; core's `shared/layout.ts` has those of the engine):
 *
 * | where | word | written by | read by |
 * |---|---|---|---|
 * | head | `BELL` | any thread, atomic add; a sleeping metadata thread waits on it | metadata thread |
 * | head | `ASLEEP` | metadata thread sets it, any thread clears it by compare and exchange | any thread |
 * | head | `READY`… | any thread sets its row's bit, the metadata thread takes all bits by exchange | metadata thread |
 * | row | `SUBMITTED` | the row's thread | metadata thread |
 * | row | `RING`… | the row's thread, before it stores `SUBMITTED` | metadata thread |
 * | row | `DONE` | metadata thread | the row's thread, which waits on it for answers in promise form |
 * | row | `POSTED` | the row's thread, after it has posted a message | metadata thread |
 * | row | `TOLD` | metadata thread, after it has posted a message | the row's thread, which waits on it for answers to calls |
 * | slot | `STATE` | the row's thread stores `SUBMITTED` and `FREE`, the metadata thread `DONE` | both; a synchronous call waits on it |
 * | slot | all other words | the thread that owns the slot by its state | the other thread |
 *
 * No lost wake-up: a thread sets its row's bit and then loads `ASLEEP`; the metadata thread sets `ASLEEP` and then
 * loads the bits. Whichever comes second sees what the other wrote. The metadata thread waits on `BELL` with the value
 * that it read before it set `ASLEEP`. For messages and their counts see `call-port.ts`.
 */

import { CHANNELS_MAX, NONE_U32 } from '@blobyard/core';

export const HEAD = { BELL: 0, ASLEEP: 16, READY: 32, READY_WORDS: CHANNELS_MAX / 32, WORDS: 64 } as const;

/** The most requests of one channel that can be under way at once; more wait in the channel. A power of two. */
export const REQUESTS_MAX = 64;

const ROW = { SUBMITTED: 0, POSTED: 1, DONE: 16, TOLD: 17, RING: 32, SLOTS: 32 + REQUESTS_MAX } as const;

export const SLOT = {
  STATE: 0,
  OP: 1,
  /** Six arguments. */
  ARGUMENTS: 2,
  ARGUMENTS_MAX: 6,
  /** 0, or the errno of a failure; then the slot's text area has the error's text. */
  ERRNO: 8,
  TEXT_BYTES: 9,
  /** Three results. */
  RESULTS: 10,
  WORDS: 16,
} as const;

export const STATE = { FREE: 0, SUBMITTED: 1, DONE: 2 } as const;

/** The requests. Their comments give arguments → results. */
export const REQUEST = {
  /** blob slot, index, cluster, extent page, claim entry → 1 inserted, 0 exists */
  INSERT: 1,
  /** cluster */
  RAISE_HIGH_WATER: 2,
  /** blob slot, cluster, extent page, claim entry, written */
  DISCARD: 3,
  /** blob slot, generation, index → 0 done, 1 frozen, 2 locked */
  RELEASE: 4,
  /** → 1 if something was reclaimed */
  RECLAIM: 5,
  /** first page → blob slot, generation, handle; the blob's name as text */
  OPEN: 6,
  /** handle */
  CLOSE: 7,
  /** blob slot, generation → 1 its spec has been broadcast, 0 there is no device */
  EXTERNAL: 8,
  /** handle */
  FLUSH: 10,
  /** The channel is about to close: closes its blobs. */
  LEAVE: 9,
  /** The row's thread is about to call methods: opens the metadata thread's side of the messages. */
  JOIN: 11,
} as const;
export type Request = (typeof REQUEST)[keyof typeof REQUEST];

/**
 * Requests that may have to wait until others have left a blob: for that itself, or for their turn behind an operation
 * that waits for it. No other request does, and an operation inside a blob makes only others.
 */
const PATIENT: readonly number[] = [REQUEST.OPEN, REQUEST.CLOSE, REQUEST.FLUSH, REQUEST.RELEASE, REQUEST.LEAVE];

/**
 * The number of slots that patient requests leave free. Without them there could be a deadlock: patient requests have
 * all slots, and wait until an operation of the same thread has left a blob; that operation waits for a slot.
 */
const RESERVED_SLOTS = 16;

/** The number of free slots that a request needs before it is sent. */
export function slotsNeeded(request: Request): number {
  return PATIENT.includes(request) ? RESERVED_SLOTS + 1 : 1;
}

export const TEXT_BYTES_MAX = 512;
/** Stored in `TEXT_BYTES` when the text does not fit. */
export const TEXT_TOO_LONG = -1;
const ROW_WORDS = ROW.SLOTS + REQUESTS_MAX * SLOT.WORDS;
const ROW_BYTES = ROW_WORDS * 4 + REQUESTS_MAX * TEXT_BYTES_MAX;
/** Bytes of the mailboxes of all rows, and their head. */
export const MAILBOXES_BYTES = HEAD.WORDS * 4 + CHANNELS_MAX * ROW_BYTES;

/** Stands for the index of a claim entry where there is none. */
export const NO_ENTRY = NONE_U32;

/**
 * Allocates the mailboxes of a store. The buffer is growable, although it never grows: the system commits memory for
 * such a buffer only when it is used, here when a row is.
 */
export function allocateMailboxes(): SharedArrayBuffer {
  return new SharedArrayBuffer(MAILBOXES_BYTES, { maxByteLength: MAILBOXES_BYTES });
}

/** One row's mailbox, for both sides. */
export class Mailbox {
  readonly words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #base: number;

  constructor(buffer: SharedArrayBuffer, row: number) {
    const start = HEAD.WORDS * 4 + row * ROW_BYTES;
    this.words = new Int32Array(buffer, 0, buffer.byteLength / 4);
    this.#base = start / 4;
    this.#bytes = new Uint8Array(buffer, start + ROW_WORDS * 4, REQUESTS_MAX * TEXT_BYTES_MAX);
  }

  /** Index of the word that counts submissions; it wraps. */
  get submittedAt(): number {
    return this.#base + ROW.SUBMITTED;
  }

  /** Index of the word that counts answers; it wraps. */
  get doneAt(): number {
    return this.#base + ROW.DONE;
  }

  /** Index of the word that counts messages to the metadata thread; it wraps. */
  get postedAt(): number {
    return this.#base + ROW.POSTED;
  }

  /** Index of the word that counts messages to the row's thread; it wraps. */
  get toldAt(): number {
    return this.#base + ROW.TOLD;
  }

  /** Index of the ring's word that holds the slot of a submission. */
  ringAt(submission: number): number {
    return this.#base + ROW.RING + (submission & (REQUESTS_MAX - 1));
  }

  /** Index of the first word of a slot. */
  slotAt(slot: number): number {
    return this.#base + ROW.SLOTS + slot * SLOT.WORDS;
  }

  /** The text area of a slot. */
  text(slot: number): Uint8Array {
    return this.#bytes.subarray(slot * TEXT_BYTES_MAX, (slot + 1) * TEXT_BYTES_MAX);
  }

  /** Makes all slots free, whatever their state: the row's thread is dead. */
  reset(): void {
    for (let slot = 0; slot < REQUESTS_MAX; slot++) {
      Atomics.store(this.words, this.slotAt(slot) + SLOT.STATE, STATE.FREE);
    }
  }
}

/**
 * Sets a row's ready bit, and wakes the metadata thread if it sleeps: the row has requests or messages for it, or an
 * operation has left a frozen blob. Any thread.
 */
export function ring(words: Int32Array, row: number): void {
  Atomics.or(words, HEAD.READY + (row >>> 5), 1 << (row & 31));
  if (Atomics.load(words, HEAD.ASLEEP) === 0) return;
  if (Atomics.compareExchange(words, HEAD.ASLEEP, 1, 0) === 0) return; // another thread wakes it
  Atomics.add(words, HEAD.BELL, 1);
  Atomics.notify(words, HEAD.BELL);
}
