/**
 * What was done to a device, as all threads that have it open note it in shared memory: each change and each flush, with the
 * moments at which it began and at which it had ended. Moments are the numbers of one clock, which is the log's of the workload
 * too, so that all of it has one order.
 */

import type { MaybePromise } from '@blobyard/core';
import { type LogBuffers, SharedLog } from '../stress/shared-log.js';

export const REQUEST = { WRITE: 1, ZERO: 2, FLUSH: 3 } as const;
export type RequestKind = (typeof REQUEST)[keyof typeof REQUEST];

/** A request; all in bytes. `BYTES` is where its bytes begin among all that were written. Moments are 0 until they have come. */
const RECORD = { KIND: 0, AT: 1, LENGTH: 2, BYTES: 3, BEGIN: 4, EFFECT: 5, END: 6, WORDS: 7 } as const;
/** `LOCK` is 1 while a thread carries a request out. */
const CONTROL = { RECORDS: 0, BYTES: 1, FULL_AT: 2, LOCK: 3, WORDS: 4 } as const;
/** How long a thread sleeps at most before it looks at the lock again, in milliseconds. */
const LOCK_WAIT_MS = 1;

/** Plain, to be posted to threads. */
export interface RecordingBuffers {
  readonly log: LogBuffers;
  readonly control: SharedArrayBuffer;
  readonly records: SharedArrayBuffer;
  readonly bytes: SharedArrayBuffer;
  /** So many requests are enough: then the workload is told to stop. */
  readonly enough: number;
}

export interface RecordingSizes {
  readonly requestsMax: number;
  readonly bytesMax: number;
  readonly enough: number;
}

/** A request as it was noted. */
export interface RecordedRequest {
  readonly kind: RequestKind;
  readonly at: number;
  readonly length: number;
  /** What was written; undefined where zeroes were. */
  readonly bytes: Uint8Array | undefined;
  readonly begin: number;
  /** When it took effect: of two that were under way at once this tells which came last. Infinity if it never did. */
  readonly effect: number;
  /** Infinity if it never ended. */
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

/** Makes room for another recording, with another log of the workload. */
export function recordAnew(buffers: RecordingBuffers, log: LogBuffers): RecordingBuffers {
  new Int32Array(buffers.control).fill(0);
  new Int32Array(buffers.records).fill(0);
  return { ...buffers, log };
}

/** A recording, to one of the threads that add to it, or to who looks at it. */
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

  /** The moment from which on not everything was noted, because there was no room; Infinity if there was. */
  get fullAt(): number {
    return Atomics.load(this.#control, CONTROL.FULL_AT) || Number.POSITIVE_INFINITY;
  }

  /**
   * Notes that a request begins. Before the device is given it.
   * @param fill - puts what is written into the recording
   * @returns what `end` is to be told; undefined if there is no room for it
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

  /** Carries a request out, of a device that has done it at once, and notes when; no other thread carries one out meanwhile. */
  takeEffect(index: number | undefined, request: () => MaybePromise<void>): void {
    while (Atomics.compareExchange(this.#control, CONTROL.LOCK, 0, 1) !== 0) {
      Atomics.wait(this.#control, CONTROL.LOCK, 1, LOCK_WAIT_MS);
    }
    try {
      if (request() !== undefined) throw new Error('the recorded device must answer at once');
      if (index !== undefined) this.#records[index * RECORD.WORDS + RECORD.EFFECT] = this.#log.now();
    } finally {
      Atomics.store(this.#control, CONTROL.LOCK, 0);
      Atomics.notify(this.#control, CONTROL.LOCK, 1);
    }
  }

  /** Notes that a request has ended. Once the device has done it, and before whoever gave it is told. */
  end(index: number | undefined): void {
    if (index !== undefined) Atomics.store(this.#records, index * RECORD.WORDS + RECORD.END, this.#log.now());
  }

  /** All requests, in the order in which they were noted. Once nobody adds to them any more. */
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
