/** The interface through which blob handles read and write data. Each mode of a store implements it. */

import type { BlobView } from './blob-view.js';
import type { ByteChannel, PromiseChannel, SyncChannel } from './byte-io.js';
import type { InFlight } from './in-flight.js';
import type { PartSizes } from './parts.js';
import type { RequestSlots } from './request-slots.js';
import type { WriteOrder } from './write-order.js';

/**
 * The fast path for transfers from or to one array, whose length is the length of the transfer. `offset` is in bytes.
 * The caller has checked that the handle is open. Each method returns undefined, or false, without any effect, if it
 * cannot do the transfer. Then the caller uses the general path, which also finds errors.
 */
export interface ShortWay {
  read(blob: BlobView, into: Uint8Array, offset: number, use: InFlight): Promise<Uint8Array> | undefined;
  write(blob: BlobView, data: Uint8Array, offset: number, use: InFlight, order: WriteOrder): Promise<void> | undefined;
  readSync(blob: BlobView, into: Uint8Array, offset: number): boolean;
  writeSync(blob: BlobView, data: Uint8Array, offset: number, order: WriteOrder): boolean;
}

export interface DataPort {
  /** The channel for promise-form requests. */
  readonly channel: PromiseChannel;
  /** The fast path. Undefined if there is none. */
  readonly way: ShortWay | undefined;
  /** For byte ranges. Undefined if the device takes only blocks. */
  readonly bytes: ByteChannel | undefined;
  /** Limits the requests that the channel gets at once. Undefined if there is no limit. */
  readonly slots: RequestSlots | undefined;
  /** The sizes of the parts of a long transfer, if the channel works on the calling thread. */
  readonly parts: PartSizes | undefined;
  /** True if the channel finishes each request before it returns, and never blocks to wait for another thread. */
  readonly isAtOnce: boolean;
  /** True if other threads do the writes. Then writes continue while this thread is in a synchronous call. */
  readonly isElsewhere: boolean;
  /** Returns the channel for synchronous calls. Throws ENOTSUP if the device is asynchronous. */
  syncChannel(): SyncChannel;
}
