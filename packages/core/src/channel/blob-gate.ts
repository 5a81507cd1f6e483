/**
 * Entering and leaving blobs on one channel. An operation that enters a blob is counted in the channel's row. An
 * operation that finds its blob frozen is queued, in order, until the blob is thawed. See `metadata/freeze.ts` for the
 * race with the freezer.
 *
 * After the thaw, queued operations run in slices, and the event loop turns in between. Until the last one has begun,
 * later operations are queued behind them; a synchronous call first runs them all.
 *
 * On the metadata thread, the operation that thaws a blob notifies the channels. On other threads, the channel itself
 * watches the frozen count while operations are queued, and a synchronous call blocks the thread until the blob is
 * thawed. A synchronous call must not block while promise-form operations of the same thread are inside blobs. That
 * would be a deadlock: the freezer may wait for them, and they cannot go on while the thread is blocked.
 */

import type { BlobBlocks } from '../shared/blob-blocks.js';
import type { ChannelTable, Counters } from '../shared/channel-table.js';
import { BLOB } from '../shared/layout.js';
import type { SharedStore } from '../shared/shared-store.js';
import type { MaybePromise, Steps, Waitable } from '../steps/steps.js';
import { BlobstoreError } from '../units/error.js';
import type { ChannelHost } from './host.js';
import { SlotQueues } from './slot-queues.js';
import type { Transfer } from './transfer.js';

/**
 * The limits of a slice: in one turn of the event loop at most so many queued operations begin, and none after so many
 * bytes. A slice takes one or two milliseconds. The limits are counts, not a time, so that a simulation runs the same
 * on a busy machine.
 */
const SLICE_OPERATIONS = 32;
const SLICE_BYTES = 2 ** 21;

/** An operation that waits for a blob to be thawed, and the functions that settle its promise. */
interface Queued {
  /** The transfer whose part is run after the thaw; undefined for steps, which only wait for the thaw. */
  readonly transfer: Transfer | undefined;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Thrown when an operation inside a clone finds a snapshot behind it frozen. The operation must not wait inside the
 * clone: the freezer of the snapshot waits until it has left. It leaves, waits, and begins again.
 */
export class FrozenBehind extends Error {
  readonly slot: number;

  constructor(slot: number) {
    super('a snapshot behind the blob is frozen');
    this.slot = slot;
  }
}

/** The gate of one channel. Only the channel's thread uses it. */
export class BlobGate {
  readonly #host: ChannelHost;
  readonly #shared: SharedStore;
  readonly #blobs: BlobBlocks;
  readonly #table: ChannelTable;
  readonly #row: number;
  readonly #counters: Counters;
  readonly #runPart: (transfer: Transfer) => MaybePromise<void>;
  readonly #queues = new SlotQueues<Queued>();
  /** The number of operations of this channel that are inside blobs. */
  #insideCount = 0;
  /** Set once the channel is closing: the error of operations that would be queued. */
  #ended: BlobstoreError | undefined;
  /** The slots whose frozen count this channel watches. */
  readonly #watched = new Set<number>();
  /** The slots whose queued operations go on in the next turn of the event loop. */
  readonly #goingOn = new Set<number>();
  /** True while a queued operation begins: it goes before those that are still queued. */
  #isResuming = false;

  /** @param runPart - runs the queued part of a transfer; it is outside the blob then */
  constructor(host: ChannelHost, runPart: (transfer: Transfer) => MaybePromise<void>) {
    this.#host = host;
    this.#runPart = runPart;
    this.#shared = host.shared;
    this.#blobs = host.shared.blobs;
    this.#table = host.shared.channels;
    this.#row = host.row;
    this.#counters = this.#table.counters(host.row);
  }

  /** The number of operations that wait for a blob to be thawed. */
  get depth(): number {
    return this.#queues.size;
  }

  /** Enters a blob without checking whether it is frozen; the caller must check that. */
  enter(slot: number): void {
    this.#insideCount++;
    this.#counters.enter(slot);
  }

  /**
   * Enters a blob. Returns false, without entering, when it is frozen, or when operations that were queued for it have
   * not begun yet.
   */
  tryEnter(slot: number): boolean {
    if (this.#queues.size > 0 && this.mustWait(slot)) return false;
    this.enter(slot);
    if (!this.isFrozen(slot)) return true;
    this.leave(slot);
    return false;
  }

  /** Enters a blob, and waits while it is frozen. */
  *enterSteps(slot: number): Steps<void> {
    while (!this.tryEnter(slot)) yield this.#thawed(slot);
  }

  /**
   * To be called before the map of a snapshot is read. Throws `FrozenBehind` when it is frozen. The caller is inside a
   * blob in front of it: whoever freezes it from now on waits until the caller has left that blob.
   */
  requireThawed(slot: number): void {
    if (this.isFrozen(slot) || (this.#queues.size > 0 && this.mustWait(slot))) throw new FrozenBehind(slot);
  }

  /** Leaves a blob, and wakes the freezers if there are any. */
  leave(slot: number): void {
    this.#insideCount--;
    const left = this.#counters.leave(slot);
    if (left === 0 && this.#table.hasDrainWaiters) this.#host.metadata.drained();
  }

  /** True while operations of this channel are inside blobs. */
  get isInside(): boolean {
    return this.#insideCount > 0;
  }

  /**
   * True when an operation has to be queued: the blob is frozen, or operations that were queued for it have not begun
   * yet. Unless the blob is frozen, first begins a slice of the queued operations.
   */
  mustWait(slot: number): boolean {
    if (this.isFrozen(slot)) return true;
    if (this.#isResuming) return false;
    this.thaw(slot);
    return this.#queues.has(slot);
  }

  /** True while a blob is frozen. */
  isFrozen(slot: number): boolean {
    return this.#blobs.load(slot, BLOB.FROZEN) !== 0;
  }

  /**
   * Queues until a frozen blob is thawed. With a transfer, its part is run after the thaw, and the promise settles as
   * the part does. Steps pass no transfer; for them the promise resolves at the thaw. Rejects when the channel is
   * closed or the store has ended.
   */
  queue(slot: number, transfer?: Transfer): Promise<void> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      this.#queues.push(slot, { transfer, resolve, reject });
      this.#watch(slot);
    });
  }

  /**
   * Blocks this thread until a blob is thawed, and runs the operations that were queued for it. Throws EBUSY where the
   * thread must not block; EIO or EBADF when the store has ended.
   */
  blockUntilThawed(slot: number): void {
    while (this.isFrozen(slot)) {
      this.requireMayBlock();
      this.#shared.requireAlive();
      this.#blobs.blockWhileFrozen(slot);
    }
    this.#resume(slot, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
  }

  /**
   * Throws EBUSY unless this thread may block until the metadata thread has frozen or thawed a blob. The caller must be
   * outside all blobs.
   */
  requireMayBlock(): void {
    if (!this.#host.isMetadataThread && !this.isInside && !this.#host.isInsideElsewhere?.()) return;
    const reason = this.#host.isMetadataThread
      ? 'an operation of this thread, such as a snapshot, has frozen the blob'
      : 'promise-form operations of this thread are inside a blob, and what it waits for may wait for them';
    throw new BlobstoreError('EBUSY', `a synchronous call would wait for ever: ${reason}; use the promise form`);
  }

  /**
   * Runs the operations that were queued while a blob was frozen, in order: for a slice now, the rest in later turns of
   * the event loop.
   */
  thaw(slot: number): void {
    if (this.#goingOn.has(slot) || !this.#queues.has(slot)) return;
    if (this.#resume(slot, SLICE_OPERATIONS, SLICE_BYTES)) return;
    this.#goingOn.add(slot);
    setImmediate(() => {
      this.#goingOn.delete(slot);
      if (!this.isFrozen(slot)) this.thaw(slot);
    });
  }

  /**
   * Begins queued operations of a blob, in order, until `operations` of them, or `bytes` bytes, have begun. Returns
   * false when some are left.
   */
  #resume(slot: number, operations: number, bytes: number): boolean {
    let begun = 0;
    let bytesLeft = bytes;
    // An operation that finds a snapshot frozen is queued again, behind those that are there now, and is not counted.
    const end = Math.min(this.#queues.lengthOf(slot), operations);
    while (begun < end && bytesLeft > 0 && !this.isFrozen(slot)) {
      const queued = this.#queues.shift(slot);
      if (queued === undefined) break;
      begun++;
      bytesLeft -= (queued.transfer?.count ?? 0) * this.#host.geometry.ioUnitBytes;
      this.#begin(queued);
    }
    return !this.#queues.has(slot);
  }

  /** Rejects all queued operations with an error, and all that would be queued from now on. */
  end(error: BlobstoreError): void {
    this.#ended = error;
    this.#abortQueued(error);
  }

  #abortQueued(error: BlobstoreError): void {
    for (const { reject } of this.#queues.takeAll()) reject(error);
  }

  #begin({ transfer, resolve, reject }: Queued): void {
    this.#isResuming = true;
    try {
      const pending = transfer && this.#runPart(transfer);
      if (pending === undefined) resolve();
      else pending.then(resolve, reject);
    } catch (error) {
      reject(error);
    } finally {
      this.#isResuming = false;
    }
  }

  /** Frees the row. No operation may be inside a blob. */
  close(): void {
    this.#table.release(this.#row);
  }

  #thawed(slot: number): Waitable<void> {
    return { promise: () => this.queue(slot), block: () => this.blockUntilThawed(slot) };
  }

  /**
   * Watches the frozen count of a blob while operations are queued for it. On the metadata thread the thaw calls `thaw`
   * instead.
   */
  #watch(slot: number): void {
    if (this.#host.isMetadataThread || this.#watched.has(slot)) return;
    this.#watched.add(slot);
    void this.#thawLater(slot);
  }

  async #thawLater(slot: number): Promise<void> {
    while (this.#queues.has(slot)) {
      await this.#blobs.waitWhileFrozen(slot);
      const end = this.#ending();
      if (end !== undefined) this.#abortQueued(end);
      else if (!this.isFrozen(slot)) this.thaw(slot);
      if (this.#goingOn.has(slot)) await nextTurn();
    }
    this.#watched.delete(slot);
  }

  /** The error of operations once the store has ended; undefined while it is open. */
  #ending(): BlobstoreError | undefined {
    try {
      this.#shared.requireAlive();
      return undefined;
    } catch (error) {
      return error as BlobstoreError;
    }
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
