/**
 * Transfers of whole io units that wait for a turn of the event loop. Any number may wait, so each takes little memory:
 * a fraction of what a call of the general path takes.
 */

import type { Channel } from '@blobyard/core';
import { coded } from '../api/failures.js';
import type { BlobView } from './blob-view.js';
import type { InFlight } from './in-flight.js';
import { operationTurns, type WaitingWork } from './loop-turns.js';
import type { RequestSlots } from './request-slots.js';
import type { WriteOrder, WriteTurn } from './write-order.js';

/** Where transfers go. */
export interface TransferWay {
  readonly channel: Channel;
  readonly slots: RequestSlots;
}

/** A waiting transfer; `first` and `end` are in io units. */
abstract class WaitingTransfer<T> implements WaitingWork {
  protected readonly way: TransferWay;
  protected readonly blob: BlobView;
  protected readonly bytes: Uint8Array;
  readonly first: number;
  readonly end: number;
  readonly #use: InFlight;
  #resolve!: (result: T) => void;
  #reject!: (error: unknown) => void;

  constructor(way: TransferWay, blob: BlobView, bytes: Uint8Array, first: number, count: number, use: InFlight) {
    this.way = way;
    this.blob = blob;
    this.bytes = bytes;
    this.first = first;
    this.end = first + count;
    this.#use = use;
  }

  /** Queues the transfer, as an operation of its handle. Resolves when it has ended. */
  queue(): Promise<T> {
    this.#use.begin();
    operationTurns.queue(this);
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  begin(): boolean {
    try {
      if (!this.tryNow()) {
        void this.#request();
        return false;
      }
      this.#succeed();
    } catch (error) {
      this.#fail(error);
    }
    return true;
  }

  protected abstract readonly doing: string;
  protected abstract readonly result: T;
  /** Does the transfer in this call. Returns false, without any effect, if it would have to wait. */
  protected abstract tryNow(): boolean;
  protected abstract request(): Promise<void>;

  /** Called when the transfer has ended, whether it succeeded or failed. */
  protected leave(): void {
    this.#use.end();
  }

  async #request(): Promise<void> {
    try {
      await this.way.slots.run(false, () => this.request());
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#succeed();
  }

  #succeed(): void {
    this.leave();
    this.#resolve(this.result);
  }

  #fail(error: unknown): void {
    this.leave();
    this.#reject(coded(error, this.doing));
  }
}

export class WaitingRead extends WaitingTransfer<Uint8Array> {
  protected get doing(): string {
    return 'read';
  }

  protected get result(): Uint8Array {
    return this.bytes;
  }

  protected tryNow(): boolean {
    return this.way.channel.tryReadNow(this.blob, this.bytes, this.first, this.end - this.first);
  }

  protected request(): Promise<void> {
    return this.way.channel.read(this.blob, this.bytes, this.first, this.end - this.first);
  }
}

/** A waiting write. The same object is also its turn in the `WriteOrder` of the blob, which saves memory. */
export class WaitingWrite extends WaitingTransfer<void> implements WriteTurn {
  readonly #order: WriteOrder;
  blockers = 0;
  followers: WriteTurn[] | undefined;
  holdsEdges = false;
  start: (() => void) | undefined;
  before: WriteTurn | undefined;
  after: WriteTurn | undefined;

  /** @param order - no turn in it needs exclusive access */
  constructor(
    way: TransferWay,
    blob: BlobView,
    bytes: Uint8Array,
    first: number,
    count: number,
    use: InFlight,
    order: WriteOrder,
  ) {
    super(way, blob, bytes, first, count, use);
    this.#order = order;
    order.enterAs(this);
  }

  get head(): number {
    return -1;
  }

  get tail(): number {
    return -1;
  }

  get isAlone(): boolean {
    return false;
  }

  protected get doing(): string {
    return 'write';
  }

  protected get result(): undefined {
    return undefined;
  }

  protected tryNow(): boolean {
    return this.way.channel.tryWriteNow(this.blob, this.bytes, this.first, this.end - this.first);
  }

  protected request(): Promise<void> {
    return this.way.channel.write(this.blob, this.bytes, this.first, this.end - this.first);
  }

  protected override leave(): void {
    this.#order.leave(this);
    super.leave();
  }
}
