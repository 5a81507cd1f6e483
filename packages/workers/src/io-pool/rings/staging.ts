/**
 * The data of requests under way in the client's pool: bytes of callers' memory that is not shared, and tables of
 * vectors in shared memory. They are written just before a worker gets the request, so that waiting requests take no
 * room in the pool.
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

  /** Allocates a piece, and fills it for the worker. Returns false, with nothing changed, when there is no room. */
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
    } else if (op === RING_OP.WRITE || op === RING_OP.WRITE_BYTES) {
      if (payload instanceof Uint8Array) {
        copyBytes(payload, request.bufferOffset, this.#pool.bytes, piece, request.byteLength);
      } else gather(payload as readonly Uint8Array[], this.#pool.bytes, piece);
    }
    return true;
  }

  /**
   * Frees the piece, if there is one. Before that, copies what was read into the caller's buffers. Returns the error if
   * they have become too small.
   */
  unstage(request: RingRequest, isDone: boolean): BlobstoreError | undefined {
    if (request.piece === NO_PIECE) return undefined;
    const { op } = request;
    const isRead = op === RING_OP.READ || op === RING_OP.READ_BYTES;
    const failure = isDone && isRead ? this.#copyOut(request) : undefined;
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

/** True if the caller's buffers have become smaller: their memory was transferred or resized. */
export function hasShrunk({ payload, bufferOffset, byteLength }: RingRequest): boolean {
  if (payload instanceof Uint8Array) return payload.length < bufferOffset + byteLength;
  return payload !== undefined && listBytes(payload) !== byteLength;
}
