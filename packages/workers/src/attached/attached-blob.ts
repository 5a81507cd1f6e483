/** A blob, open on a thread that is attached to its store. */

import { types } from 'node:util';
import { type BlobRef, BlobstoreError, type Channel } from '@blobyard/core';
import { asyncDispose } from '../api/async-dispose.js';
import { BlobView } from '../data/blob-view.js';
import { ByteBlob } from '../data/byte-blob.js';
import type { BytePort, SyncPort } from '../data/byte-io.js';
import { InFlight } from '../data/in-flight.js';
import { operationTurns } from '../data/loop-turns.js';
import { partSizes } from '../data/parts.js';
import type { AttachedStore } from './attach.js';

const { isUint8Array } = types;

/**
 * Offsets and lengths are bytes and need no alignment. Writes of different bytes of one io unit never disturb each other as long
 * as they are made by the same thread; threads that share an io unit have to agree between themselves. What other threads do
 * to the blob (resizes, snapshots, closing) holds here from the moment at which it was done.
 */
export class AttachedBlob extends ByteBlob implements BlobRef, AsyncDisposable {
  readonly id: bigint;
  readonly slot: number;
  readonly generation: number;
  protected readonly inFlight: InFlight;
  protected readonly port: BytePort;
  readonly #store: AttachedStore;
  readonly #channel: Channel;
  readonly #view: BlobView;
  readonly #unitBytes: number;
  readonly #clusterUnits: number;
  #closing: Promise<void> | undefined;

  constructor(
    store: AttachedStore,
    opened: BlobRef & { readonly id: bigint },
    means: Pick<BytePort, 'slots' | 'edges' | 'order'>,
  ) {
    super();
    const { geometry, shared, keepAlive } = store.host;
    const { id, slot, generation } = opened;
    this.id = id;
    this.slot = slot;
    this.generation = generation;
    this.#store = store;
    this.#channel = store.channel;
    this.#view = new BlobView(shared, slot, generation);
    this.#clusterUnits = geometry.ioUnitsPerCluster;
    this.#unitBytes = geometry.ioUnitBytes;
    this.inFlight = new InFlight(`this handle of blob ${id}`, keepAlive, operationTurns);
    this.port = {
      ...means,
      channel: store.channel,
      parts: partSizes(geometry.clusterBytes, geometry.ioUnitBytes),
      unitBytes: geometry.ioUnitBytes,
      blob: () => this,
      isAllocated: (unit) => this.#view.isAllocated(Math.floor(unit / this.#clusterUnits)),
    };
  }

  /** Bytes in the blob now; as it was last seen, once the store has closed it. */
  get sizeBytes(): number {
    return this.#view.clusterCount * this.#store.clusterSizeBytes;
  }

  get isReadOnly(): boolean {
    return this.#view.isReadOnly;
  }

  get isClosed(): boolean {
    return this.inFlight.isClosed;
  }

  override readSync(offset: number, lengthOrInto: number | Uint8Array): Uint8Array {
    if (typeof offset === 'number' && isUint8Array(lengthOrInto)) {
      const first = offset / this.#unitBytes;
      const count = lengthOrInto.length / this.#unitBytes;
      if (this.#isDirect(first, count) && this.#channel.tryReadNow(this, lengthOrInto, first, count))
        return lengthOrInto;
    }
    return super.readSync(offset, lengthOrInto);
  }

  override writeSync(data: Uint8Array, offset: number): void {
    if (typeof offset === 'number' && isUint8Array(data) && !this.port.order.isHeld) {
      const first = offset / this.#unitBytes;
      const count = data.length / this.#unitBytes;
      if (this.#isDirect(first, count) && this.#channel.tryWriteNow(this, data, first, count)) return;
    }
    super.writeSync(data, offset);
  }

  /** Makes everything durable that was acknowledged for this blob. */
  flush(): Promise<void> {
    return this.inFlight.run(`flush blob ${this.id}`, () => this.#store.flushBlob(this));
  }

  /**
   * Gives the blob back, once what is under way has ended; a second call answers as the first. What was acknowledged is on the device
   * when this resolves, as when the blob's opener closes it.
   * @throws EIO, ENOSPC: the blob could not be written. The handle does nothing more, the blob is still this thread's, and a second
   * call tries again; so does `detach`. EIO also when the store has failed.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close().catch((error: unknown) => {
      this.#closing = undefined;
      throw error;
    });
    return this.#closing;
  }

  [asyncDispose](): Promise<void> {
    return this.close();
  }

  protected syncPort(): SyncPort {
    if (!this.#store.host.device.synchronous) {
      throw new BlobstoreError('ENOTSUP', 'the device is asynchronous: use the promise form of this call');
    }
    return { ...this.port, channel: this.#store.channel };
  }

  protected nextUnit(unit: number, isData: boolean): number | undefined {
    const cluster = this.#view.find(Math.floor(unit / this.#clusterUnits), isData);
    return cluster === undefined ? undefined : Math.max(unit, cluster * this.#clusterUnits);
  }

  #close(): Promise<void> {
    return this.#store.whileAlive(`close blob ${this.id}`, async () => {
      await this.inFlight.close();
      await this.#store.closeBlob(this);
    });
  }

  /** Whole io units, of a handle that is open: the shortest way, if the rest of the arguments are what they should be. */
  #isDirect(first: number, count: number): boolean {
    return Number.isInteger(first) && Number.isInteger(count) && !this.inFlight.isClosed && !operationTurns.isWaiting;
  }
}
