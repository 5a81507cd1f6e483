/**
 * The requests to a device, which all threads that have it open record in shared memory: each change and each flush,
 * with the moments at which it began, took effect and ended. A moment is a number of a logical clock, which the log of
 * the workload uses, too. So all requests and all operations of the workload have one order.
 */

import type { MaybePromise } from '@blobyard/core';
import { type LogBuffers, SharedLog } from '../stress/shared-log.js';

export const REQUEST = { WRITE: 1, ZERO: 2, FLUSH: 3 } as const;
export type RequestKind = (typeof REQUEST)[keyof typeof REQUEST];

/**
 * The words of a recorded request. `AT` and `LENGTH` are in bytes of the device; `BYTES` is the offset of its data
 * among the data of all requests. A moment is 0 until it has come.
 */
const RECORD = { KIND: 0, AT: 1, LENGTH: 2, BYTES: 3, BEGIN: 4, EFFECT: 5, END: 6, WORDS: 7 } as const;
/** `LOCK` is 1 while a thread executes a request. */
const CONTROL = { RECORDS: 0, BYTES: 1, FULL_AT: 2, LOCK: 3, WORDS: 4 } as const;
/** The longest time in milliseconds that a thread sleeps before it looks at the lock again. */
const LOCK_WAIT_MS = 1;

/** A plain object, which can be posted to threads. */
export interface RecordingBuffers {
  readonly log: LogBuffers;
  readonly control: SharedArrayBuffer;
  readonly records: SharedArrayBuffer;
  readonly bytes: SharedArrayBuffer;
  /** The number of requests after which the workload is told to stop. */
  readonly enough: number;
}

export interface RecordingSizes {
  readonly requestsMax: number;
  readonly bytesMax: number;
  readonly enough: number;
}

/** A recorded request. `at` and `length` are in bytes of the device. */
export interface RecordedRequest {
  readonly kind: RequestKind;
  readonly at: number;
  readonly length: number;
  /** The data that was written; undefined for a write of zeroes or an unmap. */
  readonly bytes: Uint8Array | undefined;
  readonly begin: number;
  /** The moment when it took effect. It orders requests that were under way at once. Infinity if it never did. */
  readonly effect: number;
  /** The moment when it ended; infinity if it never did. */
  readonly end: number;
}

export function allocateRecording(log: LogBuffers, sizes: RecordingSizes): RecordingBuffers {
  return {
    log,
    control: new SharedArrayBuffer(CONTROL.WORDS * 4),
    records: new SharedArrayBuffer(sizes.requestsMax * RECORD.WORDS * 4),
    bytes: new SharedArrayBuffer(sizes.bytesMax),
    enough: sizes.enough,
  };
}

/** Empties the memory of a recording for another one, with another log of the workload. */
export function recordAnew(buffers: RecordingBuffers, log: LogBuffers): RecordingBuffers {
  new Int32Array(buffers.control).fill(0);
  new Int32Array(buffers.records).fill(0);
  return { ...buffers, log };
}

/** A recording, as seen by a thread that adds to it or reads it. Any number of threads may add to it at once. */
export class Recording {
  readonly #log: SharedLog;
  readonly #control: Int32Array;
  readonly #records: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #enough: number;

  constructor({ log, control, records, bytes, enough }: RecordingBuffers) {
    this.#log = new SharedLog(log);
    this.#control = new Int32Array(control);
    this.#records = new Int32Array(records);
    this.#bytes = new Uint8Array(bytes);
    this.#enough = enough;
  }

  /** The moment from which on requests are missing, because there was no room; infinity if none is missing. */
  get fullAt(): number {
    return Atomics.load(this.#control, CONTROL.FULL_AT) || Number.POSITIVE_INFINITY;
  }

  /**
   * Records the begin of a request. Called before the device gets the request.
   * @param fill - copies the data that is written into the recording
   * @returns the index of the request, for `takeEffect` and `end`; undefined if there was no room for it
   */
  begin(kind: RequestKind, at: number, length: number, fill?: (bytes: Uint8Array) => void): number | undefined {
    const index = Atomics.add(this.#control, CONTROL.RECORDS, 1);
    const first = fill === undefined ? 0 : Atomics.add(this.#control, CONTROL.BYTES, length);
    if (index === this.#enough) this.#log.stop();
    const place = index * RECORD.WORDS;
    if (place >= this.#records.length || (fill !== undefined && first + length > this.#bytes.length)) {
      Atomics.compareExchange(this.#control, CONTROL.FULL_AT, 0, this.#log.now());
      return undefined;
    }
    fill?.(this.#bytes.subarray(first, first + length));
    this.#records[place + RECORD.AT] = at;
    this.#records[place + RECORD.LENGTH] = length;
    this.#records[place + RECORD.BYTES] = first;
    this.#records[place + RECORD.KIND] = kind;
    Atomics.store(this.#records, place + RECORD.BEGIN, this.#log.now());
    return index;
  }

  /**
   * Executes a request, and records the moment at which it took effect. The device must be synchronous. No other thread
   * executes a request at the same time.
   */
  takeEffect(index: number | undefined, request: () => MaybePromise<void>): void {
    while (Atomics.compareExchange(this.#control, CONTROL.LOCK, 0, 1) !== 0) {
      Atomics.wait(this.#control, CONTROL.LOCK, 1, LOCK_WAIT_MS);
    }
    try {
      if (request() !== undefined)
        throw new Error('the recorded device must be synchronous; a request returned a promise');
      if (index !== undefined) this.#records[index * RECORD.WORDS + RECORD.EFFECT] = this.#log.now();
    } finally {
      Atomics.store(this.#control, CONTROL.LOCK, 0);
      Atomics.notify(this.#control, CONTROL.LOCK, 1);
    }
  }

  /** Records the end of a request. Called after the device has done it, and before the caller knows that. */
  end(index: number | undefined): void {
    if (index !== undefined) Atomics.store(this.#records, index * RECORD.WORDS + RECORD.END, this.#log.now());
  }

  /** All requests, in the order in which they were recorded. Called when no thread adds requests any more. */
  requests(): RecordedRequest[] {
    const count = Math.min(Atomics.load(this.#control, CONTROL.RECORDS), this.#records.length / RECORD.WORDS);
    const requests: RecordedRequest[] = [];
    for (let index = 0; index < count; index++) {
      const word = (offset: number) => this.#records[index * RECORD.WORDS + offset];
      const begin = word(RECORD.BEGIN);
      if (begin === 0) continue; // there was no room for its bytes
      const kind = word(RECORD.KIND) as RequestKind;
      const [at, length, first] = [word(RECORD.AT), word(RECORD.LENGTH), word(RECORD.BYTES)];
      const bytes = kind === REQUEST.WRITE ? this.#bytes.slice(first, first + length) : undefined;
      const moment = (offset: number) => word(offset) || Number.POSITIVE_INFINITY;
      requests.push({ kind, at, length, bytes, begin, effect: moment(RECORD.EFFECT), end: moment(RECORD.END) });
    }
    return requests;
  }
}
