/**
 * A transfer: one request of a channel from its checks to its end, and the part of it that runs now. A part lies within one
 * cluster. The parts of a request run one after another, so one object serves all of them.
 *
 * Transfers come from the channel's free list, so that a request makes no object. A transfer is given back when its request has
 * ended: a synchronous call returns, a promise settles. Nothing may hold it longer.
 */

import type { RequestOptions } from '../device/block-device.js';
import { assert } from '../units/error.js';
import type { Geometry } from '../units/geometry.js';
import type { BlobCluster } from '../units/units.js';
import type { BlobRef } from './host.js';
import { OP, type Op, type Payload } from './operation.js';
import { ScatterCursor, type ScatterList } from './scatter.js';

export class Transfer {
  // The request.
  op: Op = OP.READ;
  /** The blob's slot, and what its generation must be. */
  slot = 0;
  generation = 0;
  /** A synchronous call: where it must wait it stops its thread. */
  blocking = false;
  /** Io units after this part. */
  #left = 0;
  /** Of a request with a scatter list: what the device is given with each part. */
  options: RequestOptions | undefined;
  #isVector = false;
  /** Where the scatter list goes on after this part. */
  readonly #cursor = new ScatterCursor();

  // Its part.
  /** The first io unit, counted from the blob's begin. */
  offset = 0;
  /** Io units. */
  count = 0;
  /** The cluster of the blob in which it lies, and how many io units after its begin. */
  cluster = 0 as BlobCluster;
  #within = 0;
  /** What is read into or written, from byte `bufferOffset` on. */
  buffer: Uint8Array | undefined;
  bufferOffset = 0;
  /** Of a request with a scatter list: the bytes of just this part. */
  buffers: readonly Uint8Array[] | undefined;

  /** False once it was given back. */
  isUnderWay = false;
  /** The next one in the free list. */
  next: Transfer | undefined;
  readonly #geometry: Geometry;

  constructor(geometry: Geometry) {
    this.#geometry = geometry;
  }

  /** Becomes a request, before its first part. Arguments have been checked. */
  begin(
    op: Op,
    blob: BlobRef,
    payload: Payload,
    bufferOffset: number,
    offset: number,
    count: number,
    blocking: boolean,
  ): void {
    this.op = op;
    this.slot = blob.slot;
    this.generation = blob.generation;
    this.blocking = blocking;
    this.#left = count;
    this.offset = offset;
    this.count = 0;
    this.#isVector = op === OP.READV || op === OP.WRITEV;
    if (this.#isVector) {
      const { buffers, options } = payload as ScatterList;
      this.#cursor.set(buffers);
      this.options = options;
    } else this.buffer = payload as Uint8Array | undefined;
    this.bufferOffset = bufferOffset;
    this.isUnderWay = true;
  }

  /** Goes on to the next part; false when there is none. EINVAL when a scatter list holds less than at first. */
  takePart(): boolean {
    if (this.#left === 0) return false;
    const { ioUnitsPerCluster, ioUnitBytes } = this.#geometry;
    const offset = this.offset + this.count;
    this.bufferOffset += this.count * ioUnitBytes;
    const cluster = Math.floor(offset / ioUnitsPerCluster);
    const within = offset - cluster * ioUnitsPerCluster;
    const count = Math.min(this.#left, ioUnitsPerCluster - within);
    this.offset = offset;
    this.cluster = cluster as BlobCluster;
    this.#within = within;
    this.count = count;
    this.#left -= count;
    if (this.#isVector) this.buffers = this.#cursor.take(count * ioUnitBytes);
    return true;
  }

  /** Blocks of the store's device that the part has. */
  get blockCount(): number {
    return this.count * this.#geometry.blocksPerIoUnit;
  }

  /** Where the part lies on the store's device, in the device cluster that a map entry names. */
  lbaIn(entry: number): number {
    return entry * this.#geometry.blocksPerCluster + this.#within * this.#geometry.blocksPerIoUnit;
  }

  /** Lets go of the caller's memory. From now on nobody may use it until it begins again. */
  end(): void {
    assert(this.isUnderWay, 'a transfer was given back twice');
    this.isUnderWay = false;
    this.buffer = undefined;
    if (!this.#isVector) return;
    this.#cursor.set(undefined);
    this.buffers = undefined;
    this.options = undefined;
  }
}

/** A channel's transfers that are not under way. As many are kept as the channel takes requests; others are left to the collector. */
export class FreeTransfers {
  readonly #geometry: Geometry;
  readonly #countMax: number;
  #first: Transfer | undefined;
  #count = 0;
  #madeCount = 0;

  constructor(geometry: Geometry, countMax: number) {
    this.#geometry = geometry;
    this.#countMax = countMax;
  }

  /** Transfers in the list. */
  get count(): number {
    return this.#count;
  }

  /** Transfers made so far, because the list was empty. */
  get madeCount(): number {
    return this.#madeCount;
  }

  /** A transfer that is to begin. */
  take(): Transfer {
    const transfer = this.#first;
    if (transfer === undefined) {
      this.#madeCount++;
      return new Transfer(this.#geometry);
    }
    this.#first = transfer.next;
    transfer.next = undefined;
    this.#count--;
    return transfer;
  }

  /** Ends a transfer. */
  giveBack(transfer: Transfer): void {
    transfer.end();
    if (this.#count === this.#countMax) return;
    transfer.next = this.#first;
    this.#first = transfer;
    this.#count++;
  }
}
