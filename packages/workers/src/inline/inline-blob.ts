/** A handle of a blob whose store lives on this thread. */

import { types } from 'node:util';
import { type Blobstore, BlobstoreError, type BlockDevice, type Blob as EngineBlob, type Steps } from '@blobyard/core';
import type { DeviceSpec } from '@blobyard/io';
import { asyncDispose } from '../api/async-dispose.js';
import type { Blob, BlobInfo, DerivedBlobOptions, Xattrs } from '../api/blob.js';
import type { CopyOptions, LongWorkOptions } from '../api/long-work.js';
import { checkInteger, checkOptions } from '../checks.js';
import { ByteBlob } from '../data/byte-blob.js';
import { type BytePort, QUICK_BYTES, type SyncPort } from '../data/byte-io.js';
import { operationTurns } from '../data/loop-turns.js';
import { coded } from '../failures.js';
import type { NewXattrs } from './blob-naming.js';
import { copyBlob } from './copy-blob.js';
import { InFlight } from './in-flight.js';
import { InlineXattrs } from './inline-xattrs.js';
import { checkLongWork, type LongWork, PAUSE, type PacedCopyOptions } from './pacing.js';
import { type Handle, parentOf, type StoreContext } from './store-context.js';
import { givenXattrs } from './xattr-values.js';

const { isUint8Array } = types;

export class InlineBlob extends ByteBlob implements Blob, Handle {
  readonly id: bigint;
  readonly xattrs: Xattrs;
  readonly #context: StoreContext;
  readonly #blob: EngineBlob;
  protected readonly inFlight: InFlight;
  protected readonly port: BytePort;
  #closing: Promise<void> | undefined;

  /** @param blob - open, with a reference that becomes the handle's */
  constructor(context: StoreContext, blob: EngineBlob) {
    super();
    const { channel, slots, edges, parts } = context;
    const { ioUnitBytes } = context.blobstore.geometry;
    this.id = blob.id;
    this.#context = context;
    this.#blob = blob;
    this.inFlight = new InFlight(`this handle of blob ${blob.id}`, undefined, operationTurns);
    this.xattrs = new InlineXattrs(context, blob, this.inFlight);
    const port: SyncPort = {
      channel,
      edges,
      order: context.orderOf(blob),
      unitBytes: ioUnitBytes,
      blob: () => blob,
      isAllocated: (unit) => blob.clusterAt(Math.floor((unit * ioUnitBytes) / context.clusterBytes)) !== 0,
    };
    this.port = { ...port, channel, slots, parts, atOnce: context.device.synchronous ? port : undefined };
    context.handles.add(this);
  }

  get name(): string | undefined {
    return this.#context.catalogue.nameOf(this.id);
  }

  get sizeBytes(): number {
    return this.#blob.clusterCount * this.#context.clusterBytes;
  }

  get parent(): bigint | undefined {
    return parentOf(this.#blob);
  }

  get isReadOnly(): boolean {
    return this.#blob.dataRo;
  }

  get isClosed(): boolean {
    return this.inFlight.isClosed;
  }

  get engine(): EngineBlob {
    this.inFlight.requireOpen();
    return this.#blob;
  }

  /** Whole io units that can be moved at once are moved in this very call; everything else takes the common way. */
  override read(offset: number, length: number): Promise<Uint8Array>;
  override read(offset: number, into: Uint8Array): Promise<Uint8Array>;
  override read(offset: number, lengthOrInto: number | Uint8Array): Promise<Uint8Array> {
    if (isUint8Array(lengthOrInto) && this.#isDirect(offset, lengthOrInto.length)) {
      const { unitBytes } = this.port;
      try {
        const count = lengthOrInto.length / unitBytes;
        const isDone = this.#context.channel.tryReadNow(this.#blob, lengthOrInto, offset / unitBytes, count);
        if (isDone) return Promise.resolve(lengthOrInto);
      } catch (error) {
        return Promise.reject(coded(error, 'read'));
      }
    }
    return super.read(offset, lengthOrInto as Uint8Array);
  }

  override write(data: Uint8Array, offset: number): Promise<void> {
    if (isUint8Array(data) && this.port.order.isUnhindered && this.#isDirect(offset, data.length)) {
      const { unitBytes } = this.port;
      try {
        const count = data.length / unitBytes;
        if (this.#context.channel.tryWriteNow(this.#blob, data, offset / unitBytes, count)) return Promise.resolve();
      } catch (error) {
        return Promise.reject(coded(error, 'write'));
      }
    }
    return super.write(data, offset);
  }

  info(): Promise<BlobInfo> {
    return this.inFlight.run('describe a blob', async () => this.#context.infoOf(this.#blob));
  }

  clones(): Promise<readonly bigint[]> {
    return this.inFlight.run('list clones', async () => [...this.#context.blobstore.clonesOf(this.id)]);
  }

  snapshot(options?: DerivedBlobOptions): Promise<InlineBlob> {
    return this.inFlight.run(`snapshot blob ${this.id}`, () => {
      const { naming } = this.#context;
      const checked = naming.forNew(givenXattrs(checkOptions('options of a snapshot', options, ['name', 'xattrs'])));
      return this.#derive(checked, true, () => this.#snapshotListed(checked));
    });
  }

  clone(options?: DerivedBlobOptions): Promise<InlineBlob> {
    return this.inFlight.run(`clone blob ${this.id}`, () => {
      const { blobstore, naming } = this.#context;
      const checked = naming.forNew(givenXattrs(checkOptions('options of a clone', options, ['name', 'xattrs'])));
      return this.#derive(checked, false, () => this.#context.run(blobstore.createClone(this.id, checked.values)));
    });
  }

  inflate(options?: LongWorkOptions): Promise<void> {
    return this.#long('inflate', options, (checked) => {
      const { blobstore, channel } = this.#context;
      return this.#context.run(blobstore.inflateBlob(channel, this.id, this.#context.watch(checked)), checked[PAUSE]);
    });
  }

  decouple(options?: LongWorkOptions): Promise<void> {
    return this.#long('decouple', options, (checked) => {
      const { blobstore, channel } = this.#context;
      return this.#context.run(blobstore.decoupleBlob(channel, this.id, this.#context.watch(checked)), checked[PAUSE]);
    });
  }

  copyTo(device: DeviceSpec | BlockDevice, options?: CopyOptions): Promise<number> {
    return this.#long('copy', options, (checked) => copyBlob(this.#context, this.id, device, checked));
  }

  resize(bytes: number): Promise<void> {
    return this.inFlight.run(`resize blob ${this.id}`, async () => {
      const clusterCount = Math.ceil(
        checkInteger('the size of a blob', bytes, 0, Number.MAX_SAFE_INTEGER) / this.#context.clusterBytes,
      );
      await this.#context.turns.with(this.id, { turn: true, state: true }, () => this.#resizeInTurn(clusterCount));
    });
  }

  setReadOnly(): Promise<void> {
    return this.inFlight.run(`make blob ${this.id} read-only`, async () => {
      const { blobstore, turns } = this.#context;
      await turns.with(this.id, { turn: true, state: true }, async () => {
        blobstore.setReadOnly(this.#blob);
        await this.#context.run(blobstore.syncBlob(this.#blob));
      });
    });
  }

  sync(): Promise<void> {
    return this.inFlight.run(`sync blob ${this.id}`, async () => {
      await this.#context.turns.withState([this.id], () =>
        this.#context.run(this.#context.blobstore.syncBlob(this.#blob)),
      );
    });
  }

  flush(): Promise<void> {
    return this.inFlight.run(`flush blob ${this.id}`, async () => {
      await this.#context.turns.withState([this.id], () =>
        this.#context.run(this.#context.blobstore.flushBlob(this.#blob)),
      );
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close().catch((error: unknown) => {
      this.#closing = undefined;
      throw coded(error, `close blob ${this.id}`);
    });
    return this.#closing;
  }

  [asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The handle is another thread's: who serves that closes it, or drops it when the store closes. */
  lend(): this {
    this.#context.handles.delete(this);
    return this;
  }

  /** As `close`, of a thread that hears of no error: a blob that cannot be written is the store's then. */
  async drop(): Promise<void> {
    try {
      if (this.#closing !== undefined) return await this.#closing;
    } catch {
      // it is dropped instead
    }
    await this.inFlight.close();
    await this.#end((blobstore) => blobstore.dropBlob(this.#blob));
  }

  async #close(): Promise<void> {
    await this.inFlight.close();
    await this.#end((blobstore) => blobstore.closeBlob(this.#blob));
  }

  async #end(letGo: (blobstore: Blobstore) => Steps<void>): Promise<void> {
    const { blobstore, turns, handles } = this.#context;
    if (!blobstore.isClosed) {
      await turns.with(this.id, { state: true }, () => this.#context.run(letGo(blobstore)));
    }
    handles.delete(this);
  }

  protected syncPort(): SyncPort {
    if (this.port.atOnce !== undefined) return this.port.atOnce;
    throw new BlobstoreError('ENOTSUP', 'the device is asynchronous: use the promise form of this call');
  }

  protected nextUnit(unit: number, isData: boolean): number | undefined {
    const { blobstore } = this.#context;
    return isData ? blobstore.nextAllocated(this.#blob, unit) : blobstore.nextUnallocated(this.#blob, unit);
  }

  /** Whole io units, of a handle that is in use, and it is no time for others: the shortest way, if the channel finds it so. */
  #isDirect(offset: number, length: number): boolean {
    const { unitBytes, atOnce } = this.port;
    return (
      atOnce !== undefined &&
      typeof offset === 'number' &&
      length % unitBytes === 0 &&
      offset % unitBytes === 0 &&
      this.inFlight.isUsable &&
      operationTurns.tryPass(length <= QUICK_BYTES)
    );
  }

  /** Makes a blob that has to do with this one, opens and lists it. */
  #derive(given: NewXattrs, changesState: boolean, make: () => Promise<bigint>): Promise<InlineBlob> {
    const { blobstore, catalogue, turns } = this.#context;
    return catalogue.promising(given.name, undefined, () =>
      turns.with(this.id, { turn: true, state: changesState }, async () => {
        const id = await make();
        catalogue.add(id, given.name);
        return new InlineBlob(this.#context, await this.#context.run(blobstore.openBlob(id)));
      }),
    );
  }

  /** Makes a snapshot. When only its very end fails it is there all the same, and is listed before the error goes on. */
  async #snapshotListed(given: NewXattrs): Promise<bigint> {
    const { blobstore, catalogue } = this.#context;
    try {
      return await this.#context.run(blobstore.createSnapshot(this.id, given.values));
    } catch (error) {
      const made = parentOf(this.#blob);
      if (made !== undefined && !catalogue.has(made)) catalogue.add(made, given.name);
      throw error;
    }
  }

  async #long<T>(
    doing: LongWork,
    options: PacedCopyOptions | undefined,
    work: (checked: PacedCopyOptions) => Promise<T>,
  ): Promise<T> {
    return this.inFlight.run(`${doing} blob ${this.id}`, async () => {
      const checked = checkLongWork(doing, options);
      return this.#context.turns.with(this.id, { turn: true, signal: checked.signal }, () => work(checked));
    });
  }

  /** Writes to what is cut off are waited for; those that come later wait, and then find that it is gone. */
  async #resizeInTurn(clusterCount: number): Promise<void> {
    const { blobstore } = this.#context;
    const { order } = this.port;
    const end = Math.min(clusterCount, this.#blob.clusterCount) * blobstore.geometry.ioUnitsPerCluster;
    const turn = order.enter({ first: end, end: Number.POSITIVE_INFINITY, head: -1, tail: -1 }, true);
    try {
      await order.whenReady(turn);
      await this.#context.run(blobstore.resizeBlob(this.#blob, clusterCount));
    } finally {
      order.leave(turn);
    }
    await this.#context.run(blobstore.syncBlob(this.#blob));
  }
}

/** EBUSY is for handles that stay open; one that is closing is waited for. */
export function requireNoHandles(context: StoreContext, id: bigint): void {
  const open = [...context.handles].filter((handle) => handle.id === id && !handle.isClosed).length;
  if (open === 0) return;
  throw new BlobstoreError('EBUSY', `blob ${id} cannot be deleted: ${open} of its handles are open; close them first`);
}
