/** Who moves the bytes of a store, as the handles of its blobs see it. */

import type { BlobView } from './blob-view.js';
import type { PromiseChannel, SyncChannel } from './byte-io.js';
import type { InFlight } from './in-flight.js';
import type { PartSizes } from './parts.js';
import type { RequestSlots } from './request-slots.js';
import type { WriteOrder } from './write-order.js';

/**
 * The shortest ways for whole io units, in the order of the bytes, of an array: `first` and `count` are whole numbers of io units,
 * the handle is in use. Each answers undefined, or false, with nothing done, where it is not for that: then the common way finds out
 * what to do, and whether it is an error.
 */
export interface ShortWay {
  read(blob: BlobView, into: Uint8Array, first: number, count: number, use: InFlight): Promise<Uint8Array> | undefined;
  write(
    blob: BlobView,
    data: Uint8Array,
    first: number,
    count: number,
    use: InFlight,
    order: WriteOrder,
  ): Promise<void> | undefined;
  readSync(blob: BlobView, into: Uint8Array, first: number, count: number): boolean;
  writeSync(blob: BlobView, data: Uint8Array, first: number, count: number, order: WriteOrder): boolean;
}

export interface DataPort {
  /** For requests in promise form. */
  readonly channel: PromiseChannel;
  /** Undefined where there is none. */
  readonly way: ShortWay | undefined;
  /** Where requests wait that would be too many for the channel; undefined: any number may be under way. */
  readonly slots: RequestSlots | undefined;
  /** How much is moved at once where the channel works on the calling thread. */
  readonly parts: PartSizes | undefined;
  /** The channel finishes each request before it returns, and never stops the thread for another one. */
  readonly isAtOnce: boolean;
  /** Writes are done on other threads: they go on while this one is in a synchronous call. */
  readonly isElsewhere: boolean;
  /** A channel for synchronous calls. ENOTSUP when the device is asynchronous. */
  syncChannel(): SyncChannel;
}
