/**
 * The fast path for whole io units if other threads do the transfers, and any number may be under way. Sends the
 * request in the same call.
 */

import type { Geometry } from '@blobyard/core';
import { coded } from '../api/failures.js';
import type { BlobView } from './blob-view.js';
import type { PromiseChannel } from './byte-io.js';
import type { ShortWay } from './data-port.js';
import type { InFlight } from './in-flight.js';
import type { WriteOrder } from './write-order.js';

export class RequestWay implements ShortWay {
  readonly #channel: PromiseChannel;
  readonly #unitBytes: number;
  readonly #clusterUnits: number;

  constructor(channel: PromiseChannel, { ioUnitBytes, ioUnitsPerCluster }: Geometry) {
    this.#channel = channel;
    this.#unitBytes = ioUnitBytes;
    this.#clusterUnits = ioUnitsPerCluster;
  }

  read(blob: BlobView, into: Uint8Array, offset: number, use: InFlight): Promise<Uint8Array> | undefined {
    const first = offset / this.#unitBytes;
    const count = into.length / this.#unitBytes;
    if (!this.#isInside(blob, first, count)) return undefined;
    use.begin();
    return this.#channel.read(blob, into, first, count).then(
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
    const first = offset / this.#unitBytes;
    const count = data.length / this.#unitBytes;
    if (!this.#isInside(blob, first, count)) return undefined;
    const turn = order.enterUnhindered(first, first + count);
    if (turn === undefined) return undefined;
    use.begin();
    return this.#channel.write(blob, data, first, count).then(
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

  /** True for whole io units inside the blob. */
  #isInside(blob: BlobView, first: number, count: number): boolean {
    if (!Number.isInteger(first) || !Number.isInteger(count)) return false;
    return first >= 0 && count > 0 && first + count <= blob.clusterCount * this.#clusterUnits;
  }
}
