/**
 * The client's side of I/O workers: the promise forms of a channel, over the rings of any number of workers.
 *
 * A request goes to the worker that `WorkerLanes` chooses, if there is room in its ring and, for bytes outside shared
 * memory, in the pool. Otherwise it waits, first come, first served (backpressure): no request is lost, and none
 * overtakes one that waits. One reaper takes the answers of all workers.
 *
 * While a request is under way, the worker owns the caller's buffer. A worker that is alive uses the buffer also after
 * `failWorker`; so call that only when the worker's thread has ended.
 *
 * The file is long because it is one class: sending, waiting and answering share its state.
 */

import type { MessagePort } from 'node:worker_threads';
import { type BlobRef, BlobstoreError, bufferGone } from '@blobyard/core';
import type { SharedWasmMemory } from '@blobyard/io/internal/bulk-memory';
import type { BellHooks } from './bell.js';
import { BufferPool } from './buffer-pool.js';
import { NO_MEMORY } from './memory-id.js';
import { badPlace, inPieces, isPlace, PIECES_TOGETHER } from './pieces.js';
import { Reaper } from './reaper.js';
import {
  createClientBlock,
  createRing,
  DEFAULT_ENTRIES,
  RING_OP,
  type RingBuffers,
  type RingOp,
  requestWeight,
  SEGMENT_BYTES,
} from './ring-layout.js';
import {
  type RequestPayload,
  RequestQueue,
  RequestStore,
  type RingRequest,
  TRANSFER,
  type Transfer,
} from './ring-request.js';
import { ListCutter, listBytes } from './scatter-list.js';
import { SharedBuffers, tell } from './shared-buffers.js';
import { hasShrunk, Staging } from './staging.js';
import { WorkerLane } from './worker-lane.js';
import { WorkerLanes } from './worker-lanes.js';

export interface RingClientOptions {
  readonly ioUnitBytes: number;
  /** The most requests under way on a worker, a power of two up to 4096; 256 unless given. */
  readonly entries?: number;
  /**
   * Bytes of shared memory for callers' buffers that are not shared: a multiple of 4096, from 16 KiB to 2 GiB; 16 MiB
   * unless given.
   */
  readonly poolBytes?: number;
  /** The memory of the store's device if that is a memory device; the workers' servers get it from their own device. */
  readonly deviceMemory?: SharedWasmMemory;
  /** Called when there are requests: from now until `onIdle` the owner must keep the process alive. */
  onBusy?(): void;
  /** Called about one turn of the event loop after all requests have been answered. */
  onIdle?(): void;
  /** For tests. */
  readonly hooks?: BellHooks;
}

/** Only the client's thread uses it. */
export class RingClient {
  readonly #ioUnitBytes: number;
  readonly #entries: number;
  readonly #block = createClientBlock();
  readonly #pool: BufferPool;
  readonly #staging: Staging;
  readonly #largePieceBytes: number;
  readonly #memories: SharedBuffers;
  readonly #requests = new RequestStore();
  readonly #waiting = new RequestQueue();
  readonly #lanes = new WorkerLanes();
  readonly #reaper: Reaper;
  #outstanding = 0;
  /** If set, the error with which every request fails. */
  #refusal: Error | undefined;
  #isClosed = false;
  #drainWaiters: (() => void)[] = [];

  constructor(options: RingClientOptions) {
    this.#ioUnitBytes = options.ioUnitBytes;
    this.#entries = options.entries ?? DEFAULT_ENTRIES;
    this.#pool = new BufferPool(options.poolBytes);
    if (!(this.#pool.pieceBytesMax >= this.#ioUnitBytes)) {
      const wanted = `${PIECES_TOGETHER * 2} io units of ${this.#ioUnitBytes} bytes`;
      throw new BlobstoreError('EINVAL', `a buffer pool of ${options.poolBytes} bytes: it must hold ${wanted}`);
    }
    const half = this.#pool.pieceBytesMax / PIECES_TOGETHER;
    this.#largePieceBytes = Math.max(this.#ioUnitBytes, half - (half % this.#ioUnitBytes));
    this.#memories = new SharedBuffers(options.deviceMemory?.buffer);
    this.#staging = new Staging(this.#pool, this.#memories);
    this.#reaper = new Reaper(this.#block, options, {
      reap: (limit) => this.#reap(limit),
      hasAnswers: () => this.#lanes.haveAnswers,
      outstanding: () => this.#outstanding,
      endTurn: () => this.#lanes.ring(),
      rest: () => this.#memories.rest(),
    });
  }

  /** The number of requests that have not been answered, including those that wait here. */
  get inFlight(): number {
    return this.#outstanding;
  }

  /** The number of requests that wait here for room in a ring or in the pool. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Bytes of the pool that are in use. */
  get pooledBytes(): number {
    return this.#pool.bytes.length - this.#pool.freeBytes;
  }

  /** As `Channel.read`; any number at once. */
  read(blob: BlobRef, buffer: Uint8Array, offset: number, count: number, bufferOffset = 0): Promise<void> {
    return this.#transfer(RING_OP.READ, this.#ioUnitBytes, blob, buffer, offset, count, bufferOffset);
  }

  /** As `Channel.write`; any number at once. */
  write(blob: BlobRef, buffer: Uint8Array, offset: number, count: number, bufferOffset = 0): Promise<void> {
    return this.#transfer(RING_OP.WRITE, this.#ioUnitBytes, blob, buffer, offset, count, bufferOffset);
  }

  /** As `Channel.readBytes`; any number at once. The workers' device must take any range of bytes. */
  readBytes(blob: BlobRef, buffer: Uint8Array, offset: number, length: number, bufferOffset = 0): Promise<void> {
    return this.#transfer(RING_OP.READ_BYTES, 1, blob, buffer, offset, length, bufferOffset);
  }

  /** As `Channel.writeBytes`; any number at once. The workers' device must take any range of bytes. */
  writeBytes(blob: BlobRef, buffer: Uint8Array, offset: number, length: number, bufferOffset = 0): Promise<void> {
    return this.#transfer(RING_OP.WRITE_BYTES, 1, blob, buffer, offset, length, bufferOffset);
  }

  /** As `Channel.readv`, without options for the device. */
  readv(blob: BlobRef, buffers: readonly Uint8Array[], offset: number, count: number): Promise<void> {
    return this.#transferList(RING_OP.READV, blob, buffers, offset, count);
  }

  /** As `Channel.writev`, without options for the device. */
  writev(blob: BlobRef, buffers: readonly Uint8Array[], offset: number, count: number): Promise<void> {
    return this.#transferList(RING_OP.WRITEV, blob, buffers, offset, count);
  }

  /** As `Channel.writeZeroes`. */
  writeZeroes(blob: BlobRef, offset: number, count: number): Promise<void> {
    return this.#change(RING_OP.WRITE_ZEROES, blob, offset, count);
  }

  /** As `Channel.unmap`. */
  unmap(blob: BlobRef, offset: number, count: number): Promise<void> {
    return this.#change(RING_OP.UNMAP, blob, offset, count);
  }

  /** A ring for one more worker, to be given to it and to `addWorker`. */
  createRing(): RingBuffers {
    return createRing(this.#block, this.#entries);
  }

  /** Begins to use a worker, also for waiting requests. @param port - connected to the port of the worker's server */
  addWorker(ring: RingBuffers, port: MessagePort): WorkerLane {
    const lane = new WorkerLane(ring, port);
    if (!this.#isClosed) this.#refusal = undefined;
    this.#memories.addPort(port);
    this.#lanes.add(lane);
    this.#pump();
    if (this.#outstanding > 0) this.#reaper.start();
    return lane;
  }

  /**
   * Gives a worker no more requests, and tells its server to stop. Resolves when the worker has answered all its
   * requests.
   */
  async removeWorker(lane: WorkerLane): Promise<void> {
    if (!this.#lanes.includes(lane)) return;
    lane.isOpen = false;
    tell(lane.port, { kind: 'stop' });
    await lane.whenEmpty();
    this.#drop(lane);
  }

  /**
   * A worker's thread has ended. Requests that it has answered settle as usual; all its others reject with `error`.
   * Requests that still wait here go to other workers.
   */
  failWorker(lane: WorkerLane, error: Error): void {
    if (!this.#lanes.includes(lane)) return;
    lane.isOpen = false;
    this.#reapLane(lane, Number.POSITIVE_INFINITY);
    for (const request of lane.takeAll()) this.#settle(request, error);
    this.#drop(lane);
    lane.tellIfEmpty();
    this.#pump();
    this.#reaper.start();
  }

  /** Resolves when no request is under way or waits. */
  drained(): Promise<void> {
    if (this.#outstanding === 0) return Promise.resolve();
    return new Promise<void>((resolve) => this.#drainWaiters.push(resolve));
  }

  /** No worker is left: until `addWorker` every request rejects with `error`, including those that wait here. */
  refuse(error: Error): void {
    if (this.#isClosed) return;
    this.#refusal = error;
    for (let request = this.#waiting.shift(); request !== undefined; request = this.#waiting.shift()) {
      this.#settle(request, error);
    }
    this.#reaper.start();
  }

  /** Same as `refuse`, but no later `addWorker` ends it. Requests that workers have are still answered. */
  close(error: Error): void {
    this.refuse(error);
    this.#isClosed = true;
    this.#reaper.dismiss();
  }

  /**
   * Moves `count` units of `unitBytes` each: io units, or single bytes. `offset` counts units, `bufferOffset` bytes.
   */
  #transfer(
    op: RingOp,
    unitBytes: number,
    blob: BlobRef,
    buffer: Uint8Array,
    offset: number,
    count: number,
    bufferOffset: number,
  ): Promise<void> {
    const bytes = count * unitBytes;
    if (this.#refusal !== undefined) return Promise.reject(this.#refusal);
    if (!isPlace(offset, count)) return Promise.reject(badPlace(offset, count));
    if (!isPlace(bufferOffset, bytes) || bufferOffset + bytes > buffer.length) {
      const message = `the operation moves ${bytes} bytes at ${bufferOffset} of a buffer of ${buffer.length}`;
      return Promise.reject(new BlobstoreError('EINVAL', message));
    }
    const memory = bytes === 0 ? NO_MEMORY : this.#memories.idOf(buffer.buffer);
    if (bytes !== 0 && memory === NO_MEMORY && bytes > this.#pool.pieceBytesMax) {
      return this.#inPieces(count, unitBytes, (done, some) =>
        this.#transfer(op, unitBytes, blob, buffer, offset + done, some, bufferOffset + done * unitBytes),
      );
    }
    const transfer = bytes === 0 ? TRANSFER.NONE : memory === NO_MEMORY ? TRANSFER.POOLED : TRANSFER.DIRECT;
    const request = this.#request(op, blob, offset, count, bytes, transfer, buffer);
    request.bufferOffset = bufferOffset;
    request.memory = memory;
    request.memoryOffset = memory === NO_MEMORY ? 0 : buffer.byteOffset + bufferOffset;
    return this.#enqueue(request);
  }

  #transferList(
    op: typeof RING_OP.READV | typeof RING_OP.WRITEV,
    blob: BlobRef,
    buffers: readonly Uint8Array[],
    offset: number,
    count: number,
  ): Promise<void> {
    const bytes = count * this.#ioUnitBytes;
    if (this.#refusal !== undefined) return Promise.reject(this.#refusal);
    if (!isPlace(offset, count)) return Promise.reject(badPlace(offset, count));
    const held = listBytes(buffers);
    if (held !== bytes) {
      const message = `the buffers hold ${held} bytes, the operation moves ${bytes}`;
      return Promise.reject(new BlobstoreError('EINVAL', message));
    }
    const isShared = bytes > 0 && buffers.every(({ buffer }) => this.#memories.idOf(buffer) !== NO_MEMORY);
    if (isShared && buffers.length * SEGMENT_BYTES <= this.#pool.pieceBytesMax) {
      return this.#enqueue(this.#request(op, blob, offset, count, bytes, TRANSFER.TABLE, buffers));
    }
    if (bytes > this.#pool.pieceBytesMax) {
      const cutter = new ListCutter(buffers);
      return this.#inPieces(count, this.#ioUnitBytes, (done, some) =>
        this.#transferList(op, blob, cutter.take(some * this.#ioUnitBytes), offset + done, some),
      );
    }
    // For the worker it is a request with one buffer: a piece of the pool.
    const plain = op === RING_OP.READV ? RING_OP.READ : RING_OP.WRITE;
    const transfer = bytes === 0 ? TRANSFER.NONE : TRANSFER.POOLED;
    return this.#enqueue(this.#request(plain, blob, offset, count, bytes, transfer, buffers));
  }

  #change(op: RingOp, blob: BlobRef, offset: number, count: number): Promise<void> {
    if (this.#refusal !== undefined) return Promise.reject(this.#refusal);
    if (!isPlace(offset, count)) return Promise.reject(badPlace(offset, count));
    return this.#enqueue(this.#request(op, blob, offset, count, 0, TRANSFER.NONE, undefined));
  }

  /** Executes a large request of `count` units in pieces. */
  async #inPieces(
    count: number,
    unitBytes: number,
    move: (done: number, some: number) => Promise<void>,
  ): Promise<void> {
    this.#outstanding++; // the request counts as under way also between its pieces
    try {
      await inPieces(count, this.#largePieceBytes / unitBytes, move);
    } finally {
      this.#leave();
    }
  }

  #request(
    op: RingOp,
    blob: BlobRef,
    offset: number,
    count: number,
    byteLength: number,
    transfer: Transfer,
    payload: RequestPayload,
  ): RingRequest {
    const request = this.#requests.take();
    request.op = op;
    request.slot = blob.slot;
    request.generation = blob.generation;
    request.offset = offset;
    request.count = count;
    request.byteLength = byteLength;
    request.transfer = transfer;
    request.payload = payload;
    request.bufferOffset = 0;
    request.memory = NO_MEMORY;
    request.memoryOffset = 0;
    request.segments = 0;
    request.weight = requestWeight(byteLength);
    return request;
  }

  #enqueue(request: RingRequest): Promise<void> {
    const promise = request.begin();
    this.#outstanding++;
    if (this.#waiting.length > 0 || !this.#dispatch(request)) this.#waiting.push(request);
    this.#reaper.start();
    return promise;
  }

  /** Gives a request to a worker. Returns false, with nothing changed, when a ring or the pool has no room for it. */
  #dispatch(request: RingRequest): boolean {
    const lane = this.#lanes.pick(request.weight);
    if (lane === undefined) return false;
    if (request.transfer >= TRANSFER.POOLED && !this.#staging.stage(request)) return false;
    lane.submit(request);
    if (!this.#reaper.isTaking) lane.ring();
    return true;
  }

  /** Gives waiting requests to workers while there is room. */
  #pump(): void {
    for (let first = this.#waiting.first; first !== undefined; first = this.#waiting.first) {
      const isGone = first.transfer === TRANSFER.POOLED && hasShrunk(first);
      if (!isGone && !this.#dispatch(first)) return;
      this.#waiting.shift();
      if (isGone) this.#settle(first, bufferGone());
    }
  }

  /** Takes at most `limit` answers. Returns how many it took. */
  #reap(limit: number): number {
    const reaped = this.#lanes.reap(limit, this.#reapLane);
    if (reaped > 0 && this.#waiting.length > 0) this.#pump();
    return reaped;
  }

  readonly #reapLane = (lane: WorkerLane, limit: number): number => {
    const count = Math.min(lane.answered, limit);
    for (let taken = 0; taken < count; taken++) {
      const request = lane.takeAnswered();
      this.#settle(request, lane.failure);
    }
    if (!lane.isOpen) lane.tellIfEmpty();
    return count;
  };

  /** Settles a request, and recycles its record. */
  #settle(request: RingRequest, error: Error | undefined): void {
    const failure = this.#staging.unstage(request, error === undefined) ?? error;
    if (failure === undefined) request.resolve();
    else request.reject(failure);
    this.#requests.give(request);
    this.#leave();
  }

  #leave(): void {
    this.#outstanding--;
    if (this.#outstanding === 0 && this.#drainWaiters.length > 0) this.#wakeDrainWaiters();
  }

  #wakeDrainWaiters(): void {
    const waiters = this.#drainWaiters;
    this.#drainWaiters = [];
    for (const resolve of waiters) resolve();
  }

  #drop(lane: WorkerLane): void {
    if (!this.#lanes.includes(lane)) return;
    this.#lanes.remove(lane);
    this.#memories.removePort(lane.port);
    lane.port.close();
    if (this.#lanes.count === 0) this.#reaper.dismiss();
  }
}
