/**
 * What of a request lies in the client's pool while it is under way: bytes of callers' memory that is not shared, and the
 * tables of vectors whose memory is. Written just before a worker gets the request, so that those that wait take no room.
 */

import { type BlobstoreError, bufferGone } from '@blobyard/core';
import { copyBytes } from '@blobyard/io/internal/copy-bytes';
import type { BufferPool } from './buffer-pool.js';
import { RING_OP, SEGMENT_BYTES } from './ring-layout.js';
import { NO_PIECE, type RingRequest, TRANSFER } from './ring-request.js';
import { gather, listBytes, scatter, writeTable } from './scatter-list.js';
import type { SharedBuffers } from './shared-buffers.js';

export class Staging {
  readonly #pool: BufferPool;
  readonly #poolId: number;
  readonly #memories: SharedBuffers;

  constructor(pool: BufferPool, memories: SharedBuffers) {
    this.#pool = pool;
    this.#poolId = memories.idOf(pool.memory);
    this.#memories = memories;
  }

  /** Takes a piece, and puts into it what the worker is to find there; false, with nothing done, while there is no room. */
  stage(request: RingRequest): boolean {
    const { payload, transfer, op } = request;
    const isTable = transfer === TRANSFER.TABLE;
    const segments = isTable ? (payload as readonly Uint8Array[]).length : 0;
    const piece = this.#pool.allocate(isTable ? segments * SEGMENT_BYTES : request.byteLength);
    if (piece === NO_PIECE) return false;
    request.piece = piece;
    request.memory = this.#poolId;
    request.memoryOffset = piece;
    request.segments = segments;
    if (isTable) {
      writeTable(payload as readonly Uint8Array[], this.#pool.memory, piece, (memory) => this.#memories.idOf(memory));
    } else if (op === RING_OP.WRITE) {
      if (payload instanceof Uint8Array) {
        copyBytes(payload, request.bufferOffset, this.#pool.bytes, piece, request.byteLength);
      } else gather(payload as readonly Uint8Array[], this.#pool.bytes, piece);
    }
    return true;
  }

  /** Gives the piece back, if there is one; before that takes what was read out of it. Answers why that cannot be. */
  unstage(request: RingRequest, isDone: boolean): BlobstoreError | undefined {
    if (request.piece === NO_PIECE) return undefined;
    const failure = isDone && request.op === RING_OP.READ ? this.#copyOut(request) : undefined;
    this.#pool.release(request.piece);
    request.piece = NO_PIECE;
    return failure;
  }

  #copyOut(request: RingRequest): BlobstoreError | undefined {
    if (hasShrunk(request)) return bufferGone();
    const { payload, piece, bufferOffset, byteLength } = request;
    if (payload instanceof Uint8Array) copyBytes(this.#pool.bytes, piece, payload, bufferOffset, byteLength);
    else scatter(this.#pool.bytes, piece, payload as readonly Uint8Array[]);
    return undefined;
  }
}

/** The buffers are not what they were any more: their memory was transferred elsewhere, or made smaller. */
export function hasShrunk({ payload, bufferOffset, byteLength }: RingRequest): boolean {
  if (payload instanceof Uint8Array) return payload.length < bufferOffset + byteLength;
  return payload !== undefined && listBytes(payload) !== byteLength;
}
