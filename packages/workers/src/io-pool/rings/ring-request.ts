/** A request of the client from its call to its answer. The records are used again, so that a request costs a promise only. */

import { NO_MEMORY } from './memory-id.js';
import { RING_OP, type RingOp } from './ring-layout.js';

/** How the bytes of a request get to the worker. */
export const TRANSFER = {
  /** There are none. */
  NONE: 0,
  /** They stay where they are: in shared memory. */
  DIRECT: 1,
  /** Through a piece of the pool. */
  POOLED: 2,
  /** They stay where they are; a table in the pool says where. */
  TABLE: 3,
} as const;
export type Transfer = (typeof TRANSFER)[keyof typeof TRANSFER];

export type RequestPayload = Uint8Array | readonly Uint8Array[] | undefined;

/** No piece of the pool. */
export const NO_PIECE = -1;

export class RingRequest {
  op: RingOp = RING_OP.READ;
  slot = 0;
  generation = 0;
  /** In io units. */
  offset = 0;
  /** In io units. */
  count = 0;
  transfer: Transfer = TRANSFER.NONE;
  /** The caller's memory. Held while the request is under way, so that what the worker works on is not collected. */
  payload: RequestPayload = undefined;
  bufferOffset = 0;
  byteLength = 0;
  /** What the worker is told: a memory's id, a byte of it, and segments of a table there. */
  memory = NO_MEMORY;
  memoryOffset = 0;
  segments = 0;
  /** Byte of the pool, or `NO_PIECE`. */
  piece = NO_PIECE;
  /** How much work it is, for the choice of a worker. */
  weight = 0;
  resolve: () => void = nothing;
  reject: (error: unknown) => void = nothing;
  /** The next one in a queue or in the list of free records. */
  next: RingRequest | undefined = undefined;
}

function nothing(): void {
  return;
}

/** Records that nobody uses. */
export class RequestStore {
  #free: RingRequest | undefined = undefined;

  take(): RingRequest {
    const request = this.#free;
    if (request === undefined) return new RingRequest();
    this.#free = request.next;
    request.next = undefined;
    return request;
  }

  /** Forgets what the record refers to, and keeps it. */
  give(request: RingRequest): void {
    request.payload = undefined;
    request.resolve = nothing;
    request.reject = nothing;
    request.next = this.#free;
    this.#free = request;
  }
}

/** First come, first served. */
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

  /** Takes the first one out. */
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
