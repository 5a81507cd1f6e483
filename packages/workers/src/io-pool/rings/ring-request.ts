/**
 * A request of the client from its call to its answer. Records are reused, so that a request only allocates a promise.
 */

import { NO_MEMORY } from './memory-id.js';
import { RING_OP, type RingOp } from './ring-layout.js';

/** How the worker gets the bytes of a request. */
export const TRANSFER = {
  /** There are none. */
  NONE: 0,
  /** They are in shared memory, and stay there. */
  DIRECT: 1,
  /** Through a piece of the pool. */
  POOLED: 2,
  /** Several buffers in shared memory, which stay there; a table in the pool lists them. */
  TABLE: 3,
} as const;
export type Transfer = (typeof TRANSFER)[keyof typeof TRANSFER];

export type RequestPayload = Uint8Array | readonly Uint8Array[] | undefined;

/** No piece of the pool. */
export const NO_PIECE = -1;

/** The resolvers of the last promise. All promises share one executor, so that none is allocated for each. */
let lastResolve: () => void;
let lastReject: (error: unknown) => void;
const capture = (resolve: () => void, reject: (error: unknown) => void): void => {
  lastResolve = resolve;
  lastReject = reject;
};

export class RingRequest {
  op: RingOp = RING_OP.READ;
  slot = 0;
  generation = 0;
  /** In io units; for a range of bytes, in bytes. */
  offset = 0;
  /** As the offset. */
  count = 0;
  transfer: Transfer = TRANSFER.NONE;
  /** The caller's memory. Referenced while the request is under way, so that it is not garbage-collected. */
  payload: RequestPayload = undefined;
  bufferOffset = 0;
  byteLength = 0;
  /** What the worker is told: the memory's id, the byte offset in it, and the number of segments of a table there. */
  memory = NO_MEMORY;
  memoryOffset = 0;
  segments = 0;
  /** Byte offset in the pool, or `NO_PIECE`. */
  piece = NO_PIECE;
  /** The work of the request (`requestWeight`), for the choice of a worker. */
  weight = 0;
  resolve: () => void = nothing;
  reject: (error: unknown) => void = nothing;
  /** The next request in a queue, or in the list of free records. */
  next: RingRequest | undefined = undefined;

  /** Returns the promise that `resolve` or `reject` settles. */
  begin(): Promise<void> {
    const promise = new Promise<void>(capture);
    this.resolve = lastResolve;
    this.reject = lastReject;
    return promise;
  }
}

function nothing(): void {
  return;
}

/** The free records. */
export class RequestStore {
  #free: RingRequest | undefined = undefined;

  take(): RingRequest {
    const request = this.#free;
    if (request === undefined) return new RingRequest();
    this.#free = request.next;
    request.next = undefined;
    return request;
  }

  /** Clears the record's references, and keeps it for reuse. */
  give(request: RingRequest): void {
    request.payload = undefined;
    request.resolve = nothing;
    request.reject = nothing;
    request.next = this.#free;
    this.#free = request;
  }
}

/** A queue: first come, first served. */
export class RequestQueue {
  #first: RingRequest | undefined = undefined;
  #last: RingRequest | undefined = undefined;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  get first(): RingRequest | undefined {
    return this.#first;
  }

  push(request: RingRequest): void {
    if (this.#last === undefined) this.#first = request;
    else this.#last.next = request;
    this.#last = request;
    this.#length++;
  }

  /** Removes and returns the first request. */
  shift(): RingRequest | undefined {
    const request = this.#first;
    if (request === undefined) return undefined;
    this.#first = request.next;
    if (this.#first === undefined) this.#last = undefined;
    request.next = undefined;
    this.#length--;
    return request;
  }
}
