/**
 * The way into blobs and out of them on one channel: who goes in is counted in the channel's row; who meets a frozen blob
 * queues, in order, until it is thawed. See `metadata/freeze.ts` for the race between the two sides.
 *
 * On the metadata thread whoever thaws a blob tells its channels. Elsewhere the channel watches the frozen count itself while
 * something is queued; and a synchronous call stops its thread there. It must not when promise-form operations of the same
 * thread are inside blobs: the freezer may be waiting for them, and they for this thread.
 */

import type { BlobBlocks } from '../shared/blob-blocks.js';
import type { ChannelTable, Counters } from '../shared/channel-table.js';
import { BLOB } from '../shared/layout.js';
import type { SharedStore } from '../shared/shared-store.js';
import type { MaybePromise, Steps, Waitable } from '../steps/steps.js';
import { BlobstoreError } from '../units/error.js';
import type { ChannelHost } from './host.js';
import type { Transfer } from './transfer.js';

/** Who waits for a blob to be thawed, and the promise of that. */
interface Queued {
  readonly slot: number;
  /** Runs then; without it, steps only want to know. */
  readonly transfer: Transfer | undefined;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * An operation inside a clone has met a frozen snapshot behind it. It must not wait inside the clone: whoever freezes the
 * snapshot may wait for the clone's counter too, which the two can share. It goes out, waits, and begins anew.
 */
export class FrozenBehind extends Error {
  readonly slot: number;

  constructor(slot: number) {
    super('a snapshot behind the blob is frozen');
    this.slot = slot;
  }
}

export class BlobGate {
  readonly #host: ChannelHost;
  readonly #shared: SharedStore;
  readonly #blobs: BlobBlocks;
  readonly #table: ChannelTable;
  readonly #row: number;
  readonly #counters: Counters;
  readonly #runPart: (transfer: Transfer) => MaybePromise<void>;
  #queue: Queued[] = [];
  /** Operations of this channel inside blobs. */
  #insideCount = 0;
  /** With what operations fail that would queue: the channel is closing. */
  #ended: BlobstoreError | undefined;
  /** Slots of which this channel watches the frozen count. */
  readonly #watched = new Set<number>();

  /** @param runPart - runs the part of a transfer that waited here, from outside the blob */
  constructor(host: ChannelHost, runPart: (transfer: Transfer) => MaybePromise<void>) {
    this.#host = host;
    this.#runPart = runPart;
    this.#shared = host.shared;
    this.#blobs = host.shared.blobs;
    this.#table = host.shared.channels;
    this.#row = host.row;
    this.#counters = this.#table.counters(host.row);
  }

  /** Operations that wait for a blob to be thawed. */
  get depth(): number {
    return this.#queue.length;
  }

  /** Goes in without a look whether the blob is frozen; the caller looks. */
  enter(slot: number): void {
    this.#insideCount++;
    this.#counters.enter(slot);
  }

  /** Goes in, or answers false, outside, when the blob is frozen. Those that queued for it before go first. */
  tryEnter(slot: number): boolean {
    if (this.#queue.length > 0 && !this.isFrozen(slot)) this.thaw(slot);
    this.enter(slot);
    if (!this.isFrozen(slot)) return true;
    this.leave(slot);
    return false;
  }

  /** Goes in, waiting while the blob is frozen. */
  *enterSteps(slot: number): Steps<void> {
    while (!this.tryEnter(slot)) yield this.#thawed(slot);
  }

  /** Goes into a blob that is behind another one; throws `FrozenBehind` when it is frozen. */
  enterBehind(slot: number): void {
    if (!this.tryEnter(slot)) throw new FrozenBehind(slot);
  }

  /** Goes out; wakes who waits for that. */
  leave(slot: number): void {
    this.#insideCount--;
    const left = this.#counters.leave(slot);
    if (left === 0 && this.#table.hasDrainWaiters) this.#host.metadata.drained();
  }

  /** Goes out of all, and empties the list. */
  leaveAll(slots: number[]): void {
    for (const slot of slots) this.leave(slot);
    slots.length = 0;
  }

  /** True while a blob is frozen. */
  isFrozen(slot: number): boolean {
    return this.#blobs.load(slot, BLOB.FROZEN) !== 0;
  }

  /**
   * Waits for a frozen blob to be thawed. The promise of a transfer settles as its part does, which runs then; steps give none.
   * Rejects when the channel is closed meanwhile.
   */
  queue(slot: number, transfer?: Transfer): Promise<void> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      this.#queue.push({ slot, transfer, resolve, reject });
      this.#watch(slot);
    });
  }

  /** Stops this thread until a blob is thawed. EBUSY where it must not; throws as the store does when that has ended. */
  blockUntilThawed(slot: number): void {
    this.requireMayBlock();
    while (this.isFrozen(slot)) {
      this.#shared.requireAlive();
      this.#blobs.blockWhileFrozen(slot);
    }
  }

  /**
   * EBUSY unless this thread may stop until the metadata thread has frozen a blob, or thawed one, or waited for who does. The
   * caller is outside of all.
   */
  requireMayBlock(): void {
    if (!this.#host.isMetadataThread && this.#insideCount === 0) return;
    const reason = this.#host.isMetadataThread
      ? 'an operation of this thread, such as a snapshot, has frozen the blob'
      : 'what it waits for may wait for operations in promise form of this thread, which are inside a blob';
    throw new BlobstoreError('EBUSY', `a synchronous call would wait for ever: ${reason}; use the promise form`);
  }

  /** Runs the operations that queued while a blob was frozen, in order. */
  thaw(slot: number): void {
    const ready = this.#queue.filter((queued) => queued.slot === slot);
    if (ready.length === 0) return;
    this.#queue = this.#queue.filter((queued) => queued.slot !== slot);
    for (const queued of ready) this.#resume(queued);
  }

  /** Ends every queued operation with an error, and each that would queue from now on. */
  end(error: BlobstoreError): void {
    this.#ended = error;
    this.#abortQueued(error);
  }

  #abortQueued(error: BlobstoreError): void {
    const queued = this.#queue;
    this.#queue = [];
    for (const { reject } of queued) reject(error);
  }

  #resume({ transfer, resolve, reject }: Queued): void {
    try {
      const pending = transfer && this.#runPart(transfer);
      if (pending === undefined) resolve();
      else pending.then(resolve, reject);
    } catch (error) {
      reject(error);
    }
  }

  /** Gives the row back; nothing may be inside. */
  close(): void {
    this.#table.release(this.#row);
  }

  #thawed(slot: number): Waitable<void> {
    return { promise: () => this.queue(slot), block: () => this.blockUntilThawed(slot) };
  }

  /** Watches the frozen count of a blob for which operations queue, until none does. */
  #watch(slot: number): void {
    if (this.#host.isMetadataThread || this.#watched.has(slot)) return;
    this.#watched.add(slot);
    void this.#thawLater(slot);
  }

  async #thawLater(slot: number): Promise<void> {
    while (this.#queue.some((queued) => queued.slot === slot)) {
      await this.#blobs.waitWhileFrozen(slot);
      const end = this.#ending();
      if (end !== undefined) this.#abortQueued(end);
      else if (!this.isFrozen(slot)) this.thaw(slot);
    }
    this.#watched.delete(slot);
  }

  /** With what operations fail, once the store has ended. */
  #ending(): BlobstoreError | undefined {
    try {
      this.#shared.requireAlive();
      return undefined;
    } catch (error) {
      return error as BlobstoreError;
    }
  }
}
