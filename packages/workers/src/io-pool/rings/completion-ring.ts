/** The ring of answers: the worker writes it, the client reads it. An error is sent as its errno and a text. */

import { BlobstoreError, ERRNO, InvariantError, toBlobstoreError } from '@blobyard/core';
import { readError, writeError } from '../../mailbox/error-text.js';
import { Bell } from './bell.js';
import {
  CLIENT,
  COMPLETION,
  completionsAt,
  RING,
  type RingBuffers,
  STATUS_BUG,
  TEXT_BYTES_MAX,
  textsAt,
  words,
} from './ring-layout.js';

/** The prefix that `InvariantError` puts before its message. */
const BUG_PREFIX = new InvariantError('').message;

/** The worker's side. After an answer `ring` must be called: the client may sleep until then. */
export class CompletionWriter {
  readonly #header: Int32Array;
  readonly #words: Int32Array;
  readonly #texts: Uint8Array;
  readonly #mask: number;
  readonly #bell: Bell;
  #tail = 0;
  /** An answer was published after the last `ring`. */
  #isSilent = false;

  constructor({ ring, client, entries }: RingBuffers) {
    this.#header = words(ring, 0, RING.WORDS);
    this.#words = words(ring, completionsAt(entries), entries * COMPLETION.WORDS);
    this.#texts = new Uint8Array(ring, textsAt(entries), entries * TEXT_BYTES_MAX);
    this.#mask = entries - 1;
    this.#bell = new Bell(words(client, 0, CLIENT.WORDS), CLIENT.ASLEEP, CLIENT.BELL);
  }

  /** Answers a request that is done. */
  succeed(tag: number): void {
    this.#push(tag, 0, 0);
  }

  /** Answers a request that failed. */
  fail(tag: number, error: unknown): void {
    const isBug = error instanceof InvariantError;
    const known = isBug ? error : toBlobstoreError(error, 'a request to a worker');
    const bytes = writeError(known, textOf(this.#texts, tag));
    this.#push(tag, known instanceof BlobstoreError ? ERRNO[known.code] : STATUS_BUG, bytes);
  }

  /** Publishes the speed of the worker, in nanoseconds for a unit of weight. */
  setPace(nanoseconds: number): void {
    Atomics.store(this.#header, RING.PACE, nanoseconds);
  }

  #push(tag: number, status: number, textBytes: number): void {
    const at = (this.#tail & this.#mask) * COMPLETION.WORDS;
    this.#words[at + COMPLETION.TAG] = tag;
    this.#words[at + COMPLETION.STATUS] = status;
    this.#words[at + COMPLETION.TEXT_BYTES] = textBytes;
    this.#tail = (this.#tail + 1) | 0;
    Atomics.store(this.#header, RING.COMPLETED, this.#tail);
    this.#isSilent = true;
  }

  /** Wakes the client if it sleeps. Does nothing if no answer was published since the last call. */
  ring(): void {
    if (!this.#isSilent) return;
    this.#isSilent = false;
    this.#bell.ring();
  }
}

/** The client's side. */
export class CompletionReader {
  readonly #header: Int32Array;
  readonly #words: Int32Array;
  readonly #texts: Uint8Array;
  readonly #mask: number;
  #head = 0;
  #at = 0;

  constructor({ ring, entries }: RingBuffers) {
    this.#header = words(ring, 0, RING.WORDS);
    this.#words = words(ring, completionsAt(entries), entries * COMPLETION.WORDS);
    this.#texts = new Uint8Array(ring, textsAt(entries), entries * TEXT_BYTES_MAX);
    this.#mask = entries - 1;
  }

  /** The number of answers that are published and not taken. */
  get available(): number {
    return (Atomics.load(this.#header, RING.COMPLETED) - this.#head) | 0;
  }

  /** The recent speed of the worker; see `RING.PACE`. */
  get pace(): number {
    return Atomics.load(this.#header, RING.PACE);
  }

  /** Takes the next answer, which must be there. `tag`, `isDone` and `error` refer to it until the next call. */
  take(): void {
    this.#at = (this.#head & this.#mask) * COMPLETION.WORDS;
    this.#head = (this.#head + 1) | 0;
  }

  get tag(): number {
    return this.#words[this.#at + COMPLETION.TAG];
  }

  get isDone(): boolean {
    return this.#words[this.#at + COMPLETION.STATUS] === 0;
  }

  /** The error of a failed request. To be read before its tag is used again. */
  error(): BlobstoreError | InvariantError {
    const status = this.#words[this.#at + COMPLETION.STATUS];
    const bytes = this.#words[this.#at + COMPLETION.TEXT_BYTES];
    const error = readError(status, textOf(this.#texts, this.tag), bytes);
    return status === STATUS_BUG ? new InvariantError(error.message.replace(BUG_PREFIX, '')) : error;
  }
}

function textOf(texts: Uint8Array, tag: number): Uint8Array {
  return texts.subarray(tag * TEXT_BYTES_MAX, (tag + 1) * TEXT_BYTES_MAX);
}
