/**
 * The requests of a channel that do not take its fast path. Each becomes a transfer, which runs part by part. To run a
 * part, the transfer enters the blob, or is queued while it is frozen; reads or writes; and leaves the blob. If it
 * finds a snapshot behind the blob frozen, it begins the part again. This file is where transfers begin, wait, are
 * tried again, get the text of their errors, and end.
 */

import type { MaybePromise, Steps } from '../steps/steps.js';
import { assert, BlobstoreError, coded } from '../units/error.js';
import { type BlobGate, FrozenBehind } from './blob-gate.js';
import type { BlobReader } from './blob-reader.js';
import type { BlobWriter } from './blob-writer.js';
import type { BlobRef, ChannelHost } from './host.js';
import { DOING, OP, type Op, type Payload, requireSameBlob } from './operation.js';
import { checkRequest } from './request-checks.js';
import { FreeTransfers, type Transfer } from './transfer.js';

/** Counts of the transfers of a channel. */
export interface TransferCounts {
  /** Transfers made so far; at least as many as were ever under way together. */
  readonly made: number;
  /** Transfers in the free list, which keeps up to the channel's limit of requests. */
  readonly free: number;
}

/** The transfers of one channel. Only the channel's thread uses it. */
export class Transfers {
  readonly #host: ChannelHost;
  readonly #gate: BlobGate;
  readonly #reader: BlobReader;
  readonly #writer: BlobWriter;
  readonly #free: FreeTransfers;
  readonly #isSynchronous: boolean;
  #outstanding = 0;
  #idleWaiters: (() => void)[] = [];
  #closed = false;

  constructor(host: ChannelHost, gate: BlobGate, reader: BlobReader, writer: BlobWriter) {
    this.#host = host;
    this.#gate = gate;
    this.#reader = reader;
    this.#writer = writer;
    this.#free = new FreeTransfers(host.geometry, host.channelOpsMax);
    this.#isSynchronous = host.device.synchronous;
  }

  /** The number of promise-form requests that have not ended. */
  get outstanding(): number {
    return this.#outstanding;
  }

  /** Counts of the transfers. */
  get counts(): TransferCounts {
    return { made: this.#free.madeCount, free: this.#free.count };
  }

  /**
   * Runs a request to its end in this call. `offset` and `count` are in bytes for a range of bytes. Throws as
   * `checkRequest`; also ENOTSUP when the device is asynchronous, EBADF when the channel is closed.
   */
  runSync(op: Op, blob: BlobRef, payload: Payload, bufferOffset: number, offset: number, count: number): void {
    if (!this.#isSynchronous) {
      throw new BlobstoreError('ENOTSUP', 'the device is asynchronous: use the promise form of this call');
    }
    const pending = this.#run(this.#begin(op, blob, payload, bufferOffset, offset, count, true));
    assert(pending === undefined, 'a synchronous operation has left something to wait for');
  }

  /**
   * Runs a request; see `runSync` for the units. Rejects as `checkRequest` throws; also EBADF when the channel is
   * closed, ENOMEM when it has as many requests under way as it takes.
   */
  run(op: Op, blob: BlobRef, payload: Payload, bufferOffset: number, offset: number, count: number): Promise<void> {
    try {
      return this.start(op, blob, payload, bufferOffset, offset, count) ?? Promise.resolve();
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** As `run`, but without a promise where the request ends in this call. */
  start(
    op: Op,
    blob: BlobRef,
    payload: Payload,
    bufferOffset: number,
    offset: number,
    count: number,
  ): MaybePromise<void> {
    return this.#run(this.#begin(op, blob, payload, bufferOffset, offset, count, false));
  }

  /** Runs the part of a transfer. The caller is outside the blob: this enters it, or is queued while it is frozen. */
  runPart(transfer: Transfer): MaybePromise<void> {
    assert(transfer.isUnderWay, 'a transfer was used after it was given back');
    const { slot } = transfer;
    if (!this.#gate.tryEnter(slot)) return this.#runOnceThawed(transfer, slot);
    let pending: MaybePromise<void>;
    try {
      requireSameBlob(this.#host.shared, slot, transfer.generation);
      pending = transfer.op < OP.WRITE ? this.#reader.readPart(transfer) : this.#writer.changePart(transfer);
    } catch (error) {
      this.#gate.leave(slot);
      return this.#retry(transfer, error);
    }
    if (pending !== undefined) return this.#leaveAfter(transfer, slot, pending);
    this.#gate.leave(slot);
    return undefined;
  }

  /** Makes all further requests fail with EBADF. */
  close(): void {
    this.#closed = true;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Waits until no request is outstanding. */
  *ended(): Steps<void> {
    while (this.#outstanding > 0) yield new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
  }

  #begin(
    op: Op,
    blob: BlobRef,
    payload: Payload,
    bufferOffset: number,
    offset: number,
    count: number,
    blocking: boolean,
  ): Transfer {
    if (this.#closed) throw new BlobstoreError('EBADF', 'the channel is closed');
    checkRequest(this.#host, op, blob, payload, bufferOffset, offset, count);
    if (!blocking) this.#countIn();
    const transfer = this.#free.take();
    const perUnit = op === OP.READ_BYTES || op === OP.WRITE_BYTES ? this.#host.geometry.ioUnitBytes : 1;
    transfer.begin(op, blob, payload, bufferOffset, offset / perUnit, count / perUnit, blocking);
    return transfer;
  }

  /** Ends a transfer. The only place that returns transfers to the free list. */
  #end(transfer: Transfer): void {
    const { blocking } = transfer;
    this.#free.giveBack(transfer);
    if (!blocking) this.#countOut();
  }

  /** Runs a transfer part by part and ends it: in this call, or, if it must wait, when the returned promise settles. */
  #run(transfer: Transfer): MaybePromise<void> {
    try {
      while (transfer.takePart()) {
        const pending = this.runPart(transfer);
        if (pending !== undefined) return this.#endAfter(transfer, this.#runRest(transfer, pending));
      }
    } catch (error) {
      throw this.#fail(transfer, error);
    }
    this.#end(transfer);
    return undefined;
  }

  async #endAfter(transfer: Transfer, pending: Promise<void>): Promise<void> {
    try {
      await pending;
    } catch (error) {
      throw this.#fail(transfer, error);
    }
    this.#end(transfer);
  }

  /** Ends a transfer that has failed. Returns the error for the user. */
  #fail(transfer: Transfer, error: unknown): Error {
    const failure = coded(error, DOING[transfer.op]);
    this.#end(transfer);
    return failure;
  }

  /** Continues a transfer after a part that had to wait. */
  async #runRest(transfer: Transfer, pending: Promise<void>): Promise<void> {
    await pending;
    while (transfer.takePart()) {
      const next = this.runPart(transfer);
      if (next !== undefined) await next;
    }
  }

  #countIn(): void {
    const { channelOpsMax } = this.#host;
    if (this.#outstanding >= channelOpsMax) {
      throw new BlobstoreError('ENOMEM', `the channel has ${channelOpsMax} requests under way already: wait for some`);
    }
    this.#outstanding++;
  }

  #countOut(): void {
    this.#outstanding--;
    if (this.#outstanding > 0 || this.#idleWaiters.length === 0) return;
    const waiters = this.#idleWaiters;
    this.#idleWaiters = [];
    for (const resolve of waiters) resolve();
  }

  /** Leaves the blob when the part has ended, and tries the part again if it found a frozen snapshot. */
  async #leaveAfter(transfer: Transfer, slot: number, pending: Promise<void>): Promise<void> {
    let failure: { readonly error: unknown } | undefined;
    try {
      await pending;
    } catch (error) {
      failure = { error };
    }
    this.#gate.leave(slot);
    if (failure) await this.#retry(transfer, failure.error);
  }

  /**
   * Begins a part again if it found that it has to wait for a snapshot behind its blob; throws any other error. The
   * caller is outside all blobs.
   */
  #retry(transfer: Transfer, error: unknown): MaybePromise<void> {
    if (!(error instanceof FrozenBehind)) throw error;
    return this.#gate.mustWait(error.slot) ? this.#runOnceThawed(transfer, error.slot) : this.runPart(transfer);
  }

  /**
   * Runs a part once a blob is thawed. Throws EBUSY when a synchronous call would have to block its thread, and must
   * not.
   */
  #runOnceThawed(transfer: Transfer, frozenSlot: number): MaybePromise<void> {
    if (!transfer.blocking) return this.#gate.queue(frozenSlot, transfer);
    this.#gate.blockUntilThawed(frozenSlot);
    return this.runPart(transfer);
  }
}
