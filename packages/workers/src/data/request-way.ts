/**
 * The fast path if other threads do the transfers, and any number may be under way: for whole io units, and for any
 * range if the device takes any bytes. Sends the request in the same call.
 */

import type { Geometry } from '@blobyard/core';
import { coded } from '../api/failures.js';
import type { BlobView } from './blob-view.js';
import type { ByteChannel, PromiseChannel } from './byte-io.js';
import type { ShortWay } from './data-port.js';
import type { InFlight } from './in-flight.js';
import type { WriteOrder } from './write-order.js';

export class RequestWay implements ShortWay {
  readonly #channel: PromiseChannel;
  readonly #bytes: ByteChannel | undefined;
  readonly #unitBytes: number;
  readonly #clusterBytes: number;
  readonly #isReadOnly: boolean;

  /**
   * @param bytes - for byte ranges; undefined if the device takes only blocks
   * @param isReadOnly - writes are left to the general path, which refuses them
   */
  constructor(
    channel: PromiseChannel,
    bytes: ByteChannel | undefined,
    { ioUnitBytes, clusterBytes }: Geometry,
    isReadOnly: boolean,
  ) {
    this.#channel = channel;
    this.#bytes = bytes;
    this.#unitBytes = ioUnitBytes;
    this.#clusterBytes = clusterBytes;
    this.#isReadOnly = isReadOnly;
  }

  read(blob: BlobView, into: Uint8Array, offset: number, use: InFlight): Promise<Uint8Array> | undefined {
    const { length } = into;
    if (!this.#isInside(blob, offset, length)) return undefined;
    const unitBytes = this.#unitBytes;
    const isWhole = this.#isWhole(offset, length);
    if (!isWhole && this.#bytes === undefined) return undefined;
    use.begin();
    const reading =
      isWhole || this.#bytes === undefined
        ? this.#channel.read(blob, into, offset / unitBytes, length / unitBytes)
        : this.#bytes.readBytes(blob, into, offset, length);
    return reading.then(
      () => {
        use.end();
        return into;
      },
      (error: unknown) => {
        use.end();
        throw coded(error, 'read');
      },
    );
  }

  write(blob: BlobView, data: Uint8Array, offset: number, use: InFlight, order: WriteOrder): Promise<void> | undefined {
    const { length } = data;
    if (this.#isReadOnly || !this.#isInside(blob, offset, length)) return undefined;
    const unitBytes = this.#unitBytes;
    const isWhole = this.#isWhole(offset, length);
    if (!isWhole && this.#bytes === undefined) return undefined;
    // If the device takes any bytes, this write is no read-modify-write: it needs no io unit exclusively.
    const turn = order.enterUnhindered(Math.floor(offset / unitBytes), Math.ceil((offset + length) / unitBytes));
    if (turn === undefined) return undefined;
    use.begin();
    const writing =
      isWhole || this.#bytes === undefined
        ? this.#channel.write(blob, data, offset / unitBytes, length / unitBytes)
        : this.#bytes.writeBytes(blob, data, offset, length);
    return writing.then(
      () => {
        order.leave(turn);
        use.end();
      },
      (error: unknown) => {
        order.leave(turn);
        use.end();
        throw coded(error, 'write');
      },
    );
  }

  readSync(): boolean {
    return false;
  }

  writeSync(): boolean {
    return false;
  }

  /** True for a range of at least a byte inside the blob. */
  #isInside(blob: BlobView, offset: number, length: number): boolean {
    if (!Number.isInteger(offset)) return false;
    return offset >= 0 && length > 0 && offset + length <= blob.clusterCount * this.#clusterBytes;
  }

  /** True for whole io units. */
  #isWhole(offset: number, length: number): boolean {
    return offset % this.#unitBytes === 0 && length % this.#unitBytes === 0;
  }
}
