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
import { partSizes } from './parts.js';
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
    way: isSynchronous ? new OwnChannelWay(channel, slots, geometry.ioUnitsPerCluster) : undefined,
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
 * Transfers whole io units in the same call, if that needs no waiting. If the time slice of operations is used up, the
 * transfer waits for a turn of the event loop.
 */
class OwnChannelWay implements ShortWay, TransferWay {
  readonly channel: Channel;
  readonly slots: RequestSlots;
  readonly #clusterUnits: number;

  /** @param clusterUnits - the number of io units of a cluster */
  constructor(channel: Channel, slots: RequestSlots, clusterUnits: number) {
    this.channel = channel;
    this.slots = slots;
    this.#clusterUnits = clusterUnits;
  }

  read(blob: BlobView, into: Uint8Array, first: number, count: number, use: InFlight): Promise<Uint8Array> | undefined {
    if (!operationTurns.tryPass(into.length <= QUICK_BYTES)) {
      if (!this.#isInside(blob, first, count)) return undefined;
      return new WaitingRead(this, blob, into, first, count, use).queue();
    }
    try {
      return this.channel.tryReadNow(blob, into, first, count) ? Promise.resolve(into) : undefined;
    } catch (error) {
      return Promise.reject(coded(error, 'read'));
    }
  }

  write(
    blob: BlobView,
    data: Uint8Array,
    first: number,
    count: number,
    use: InFlight,
    order: WriteOrder,
  ): Promise<void> | undefined {
    if (!order.isUnhindered) return undefined;
    if (!operationTurns.tryPass(data.length <= QUICK_BYTES)) {
      if (!this.#isInside(blob, first, count)) return undefined;
      return new WaitingWrite(this, blob, data, first, count, use, order).queue();
    }
    try {
      return this.channel.tryWriteNow(blob, data, first, count) ? Promise.resolve() : undefined;
    } catch (error) {
      return Promise.reject(coded(error, 'write'));
    }
  }

  readSync(blob: BlobView, into: Uint8Array, first: number, count: number): boolean {
    return !operationTurns.isWaiting && this.channel.tryReadNow(blob, into, first, count);
  }

  writeSync(blob: BlobView, data: Uint8Array, first: number, count: number, order: WriteOrder): boolean {
    return !order.isHeld && !operationTurns.isWaiting && this.channel.tryWriteNow(blob, data, first, count);
  }

  #isInside(blob: BlobView, first: number, count: number): boolean {
    return count > 0 && first + count <= blob.clusterCount * this.#clusterUnits;
  }
}
