/**
 * A transfer: one request of a channel, from its checks to its end, and the part of it that runs now. A part lies
 * within one cluster. The parts of a request run one after another, so one object serves all of them.
 *
 * Transfers come from the free list of the channel, so that a request allocates no object. A transfer returns to the
 * list when its request has ended, that is, when the synchronous call returns or the promise settles. No reference to
 * it may be used after that.
 */

import type { RequestOptions } from '../device/block-device.js';
import { assert } from '../units/error.js';
import type { Geometry } from '../units/geometry.js';
import type { BlobCluster } from '../units/units.js';
import type { BlobRef } from './host.js';
import { OP, type Op, type Payload } from './operation.js';
import { ScatterCursor, type ScatterList } from './scatter.js';

/**
 * One request and its current part. Counts and offsets are in io units, unless they say bytes. For a range of bytes
 * they can be fractions. These are exact, because an io unit is a power of two of bytes.
 */
export class Transfer {
  // The request.
  op: Op = OP.READ;
  /** The slot of the blob, and the generation that its block must have. */
  slot = 0;
  generation = 0;
  /** True for a synchronous call, which blocks its thread where it must wait. */
  blocking = false;
  /** Io units of the request after this part. */
  #left = 0;
  /** With a scatter list: the options that the device is given with each part. */
  options: RequestOptions | undefined;
  #isVector = false;
  /** The position in the scatter list after this part. */
  readonly #cursor = new ScatterCursor();

  // Its current part.
  /** The first io unit of the part, counted from the start of the blob. */
  offset = 0;
  /** Io units of the part. */
  count = 0;
  /** The cluster of the blob that contains the part, and the offset of the part in that cluster, in io units. */
  cluster = 0 as BlobCluster;
  #within = 0;
  /** The buffer that is read into or written from, starting at byte `bufferOffset`. */
  buffer: Uint8Array | undefined;
  bufferOffset = 0;
  /** With a scatter list: views of the bytes of this part. */
  buffers: readonly Uint8Array[] | undefined;

  /** False while the transfer is in the free list. */
  isUnderWay = false;
  /** The next transfer in the free list. */
  next: Transfer | undefined;
  readonly #geometry: Geometry;

  constructor(geometry: Geometry) {
    this.#geometry = geometry;
  }

  /** Starts a request, before its first part. The arguments must have been checked. */
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

  /**
   * Moves to the next part. Returns false when there is none. Throws EINVAL when the buffers of a scatter list have
   * become shorter.
   */
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

  /** The length of the part in blocks of the store's device. */
  get blockCount(): number {
    return this.count * this.#geometry.blocksPerIoUnit;
  }

  /** The first block of the part on the store's device, if its cluster is the device cluster `entry`. */
  lbaIn(entry: number): number {
    return entry * this.#geometry.blocksPerCluster + this.#within * this.#geometry.blocksPerIoUnit;
  }

  /** Drops the references to the caller's memory. The transfer must not be used until it begins again. */
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

/**
 * The free list: the transfers of a channel that are not under way. It keeps at most as many as the channel takes
 * requests at one time; the garbage collector gets the others.
 */
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

  /** The number of transfers in the list. */
  get count(): number {
    return this.#count;
  }

  /** The number of transfers made so far. */
  get madeCount(): number {
    return this.#madeCount;
  }

  /** Takes a transfer from the list, or makes one when the list is empty. */
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

  /** Ends a transfer, and puts it into the list. */
  giveBack(transfer: Transfer): void {
    transfer.end();
    if (this.#count === this.#countMax) return;
    transfer.next = this.#first;
    this.#first = transfer;
    this.#count++;
  }
}
