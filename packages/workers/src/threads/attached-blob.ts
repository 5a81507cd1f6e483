/** A blob, open on a thread that is attached to its store. */

import { BLOB, BLOB_FLAG, type BlobRef, requireSameBlob, run, type SharedStore } from '@blobyard/core';
import { asyncDispose } from '../api/async-dispose.js';
import { BlobData } from '../data/blob-data.js';
import type { BytePort } from '../data/byte-io.js';
import { InFlight } from '../inline/in-flight.js';
import type { AttachedStore } from './attach.js';

/**
 * Offsets and lengths are bytes and need no alignment. Writes of different bytes of one io unit never disturb each other as long
 * as they are made by the same thread; threads that share an io unit have to agree between themselves. What other threads do
 * to the blob (resizes, snapshots, closing) holds here from the moment at which it was done.
 */
export class AttachedBlob extends BlobData implements BlobRef, AsyncDisposable {
  readonly id: bigint;
  readonly slot: number;
  readonly generation: number;
  readonly #store: AttachedStore;
  readonly #shared: SharedStore;
  readonly #unitBytes: number;
  #closing: Promise<void> | undefined;

  constructor(
    store: AttachedStore,
    { id, slot, generation }: BlobRef & { readonly id: bigint },
    means: Pick<BytePort, 'channel' | 'slots' | 'edges' | 'order'>,
  ) {
    const { geometry, device, shared, keepAlive } = store.host;
    const unitBytes = geometry.ioUnitBytes;
    super(
      {
        ...means,
        unitBytes,
        isSynchronous: device.synchronous,
        blob: () => this,
        isAllocated: (unit) => {
          const cluster = Math.floor(unit / geometry.ioUnitsPerCluster);
          return shared.maps.load((shared.blobs.load(slot, BLOB.MAP_OFFSET) >>> 0) + cluster) !== 0;
        },
      },
      new InFlight(`this handle of blob ${id}`, keepAlive),
    );
    this.id = id;
    this.slot = slot;
    this.generation = generation;
    this.#store = store;
    this.#shared = shared;
    this.#unitBytes = unitBytes;
  }

  /** Bytes in the blob now; 0 once the store has closed it. */
  get sizeBytes(): number {
    return this.#word(BLOB.CLUSTER_COUNT) * this.#store.clusterSizeBytes;
  }

  protected override get endBytes(): number {
    const { sizeBytes } = this;
    requireSameBlob(this.#shared, this.slot, this.generation); // or an empty blob is all that is seen
    return sizeBytes;
  }

  get isReadOnly(): boolean {
    return (this.#word(BLOB.FLAGS) & BLOB_FLAG.DATA_RO) !== 0;
  }

  get isClosed(): boolean {
    return this.inFlight.isClosed;
  }

  override readSync(offset: number, lengthOrInto: number | Uint8Array): Uint8Array {
    if (typeof lengthOrInto !== 'number' && this.#isWhole(offset, lengthOrInto)) {
      const unit = this.#unitBytes;
      const { channel } = this.#store;
      if (channel.tryReadNow(this, lengthOrInto, offset / unit, lengthOrInto.length / unit)) return lengthOrInto;
    }
    return super.readSync(offset, lengthOrInto);
  }

  override writeSync(data: Uint8Array, offset: number): void {
    if (this.#isWhole(offset, data) && !this.port.order.isHeld) {
      const unit = this.#unitBytes;
      if (this.#store.channel.tryWriteNow(this, data, offset / unit, data.length / unit)) return;
    }
    super.writeSync(data, offset);
  }

  /** Gives the blob back, once what is under way has ended. A second call answers as the first. */
  close(): Promise<void> {
    this.#closing ??= this.#store.whileAlive(`close blob ${this.id}`, async () => {
      await this.inFlight.close();
      await run(this.#store.closeBlob(this));
    });
    return this.#closing;
  }

  [asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Whole io units, of a handle that is open: the shortest way, if the rest of the arguments are what they should be. */
  #isWhole(offset: number, bytes: Uint8Array): boolean {
    const unit = this.#unitBytes;
    return bytes instanceof Uint8Array && offset % unit === 0 && bytes.length % unit === 0 && !this.inFlight.isClosed;
  }

  #word(word: number): number {
    const { blobs } = this.#shared;
    const value = blobs.load(this.slot, word) >>> 0;
    return blobs.load(this.slot, BLOB.GENERATION) === this.generation ? value : 0;
  }
}
