/**
 * The data port of a thread that transfers data by a channel of its own: the metadata thread, or an attached thread.
 */

import { BlobstoreError, type Channel, type Geometry } from '@blobyard/core';
import { coded } from '../api/failures.js';
import type { BlobView } from './blob-view.js';
import { QUICK_BYTES } from './byte-io.js';
import type { DataPort, ShortWay } from './data-port.js';
import type { InFlight } from './in-flight.js';
import { operationTurns } from './loop-turns.js';
import { PART_BYTES, partSizes } from './parts.js';
import { RequestSlots } from './request-slots.js';
import { type TransferWay, WaitingRead, WaitingWrite } from './waiting-transfer.js';
import type { WriteOrder } from './write-order.js';

/** @param isAtOnce - the device is synchronous, and the channel never blocks to wait for another thread */
export function ownChannelPort(
  channel: Channel,
  geometry: Geometry,
  { requestsMax, isSynchronous, isAtOnce }: { requestsMax: number; isSynchronous: boolean; isAtOnce: boolean },
): DataPort {
  const slots = new RequestSlots(requestsMax);
  return {
    channel,
    way: isSynchronous ? new OwnChannelWay(channel, slots, geometry) : undefined,
    bytes: channel.takesBytes ? channel : undefined,
    slots,
    parts: partSizes(geometry.clusterBytes, geometry.ioUnitBytes),
    isAtOnce,
    isElsewhere: false,
    syncChannel() {
      if (isSynchronous) return channel;
      throw new BlobstoreError('ENOTSUP', 'the device is asynchronous: use the promise form of this call');
    },
  };
}

/**
 * Transfers in the same call, if that needs no waiting. If the time slice of operations is used up, a transfer of whole
 * io units waits for a turn of the event loop; others take the general path, which waits as well.
 */
class OwnChannelWay implements ShortWay, TransferWay {
  readonly channel: Channel;
  readonly slots: RequestSlots;
  readonly #unitBytes: number;
  readonly #clusterBytes: number;
  /** The longest promise-form transfer that is made in one call, in bytes. */
  readonly #atOnceMax: number;

  constructor(channel: Channel, slots: RequestSlots, { ioUnitBytes, clusterBytes }: Geometry) {
    this.channel = channel;
    this.slots = slots;
    this.#unitBytes = ioUnitBytes;
    this.#clusterBytes = clusterBytes;
    this.#atOnceMax = Math.max(clusterBytes, PART_BYTES);
  }

  read(blob: BlobView, into: Uint8Array, offset: number, use: InFlight): Promise<Uint8Array> | undefined {
    if (into.length > this.#atOnceMax) return undefined;
    if (!operationTurns.tryPass(into.length <= QUICK_BYTES)) {
      if (!this.#mayWait(blob, offset, into.length)) return undefined;
      return new WaitingRead(this, blob, into, offset / this.#unitBytes, into.length / this.#unitBytes, use).queue();
    }
    try {
      return this.channel.tryReadBytesNow(blob, into, offset, into.length) ? Promise.resolve(into) : undefined;
    } catch (error) {
      return Promise.reject(coded(error, 'read'));
    }
  }

  write(blob: BlobView, data: Uint8Array, offset: number, use: InFlight, order: WriteOrder): Promise<void> | undefined {
    if (!order.isUnhindered || data.length > this.#atOnceMax) return undefined;
    if (!operationTurns.tryPass(data.length <= QUICK_BYTES)) {
      if (!this.#mayWait(blob, offset, data.length)) return undefined;
      const [first, count] = [offset / this.#unitBytes, data.length / this.#unitBytes];
      return new WaitingWrite(this, blob, data, first, count, use, order).queue();
    }
    try {
      return this.channel.tryWriteBytesNow(blob, data, offset, data.length) ? Promise.resolve() : undefined;
    } catch (error) {
      return Promise.reject(coded(error, 'write'));
    }
  }

  readSync(blob: BlobView, into: Uint8Array, offset: number): boolean {
    return !operationTurns.isWaiting && this.channel.tryReadBytesNow(blob, into, offset, into.length);
  }

  writeSync(blob: BlobView, data: Uint8Array, offset: number, order: WriteOrder): boolean {
    return !order.isHeld && !operationTurns.isWaiting && this.channel.tryWriteBytesNow(blob, data, offset, data.length);
  }

  /** True for whole io units inside the blob. */
  #mayWait(blob: BlobView, offset: number, length: number): boolean {
    const isWhole = offset % this.#unitBytes === 0 && length % this.#unitBytes === 0;
    return isWhole && offset >= 0 && length > 0 && offset + length <= blob.clusterCount * this.#clusterBytes;
  }
}
