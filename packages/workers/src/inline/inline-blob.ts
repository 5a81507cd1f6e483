/** A handle of a blob whose store lives on this thread. */

import type { Readable, Writable } from 'node:stream';
import { BlobstoreError, type BlockDevice, type Blob as EngineBlob, run } from '@blobyard/core';
import type { DeviceSpec } from '@blobyard/io';
import { asyncDispose } from '../api/async-dispose.js';
import type { Blob, BlobInfo, DerivedBlobOptions, ReadStreamOptions, WriteStreamOptions, Xattrs } from '../api/blob.js';
import type { LongWorkOptions } from '../api/long-work.js';
import { checkBytes, checkBytesList, checkFunctionOr, checkInteger, checkOptions, checkSignalOr } from '../checks.js';
import { type BytePort, readBytes, trimBytes, writeBytes, zeroBytes } from '../data/byte-io.js';
import { readBytesSync, trimBytesSync, writeBytesSync, zeroBytesSync } from '../data/byte-io-sync.js';
import { BlobReadStream } from '../streams/blob-read-stream.js';
import { BlobWriteStream } from '../streams/blob-write-stream.js';
import { checkReadStream, checkWriteStream } from '../streams/stream-options.js';
import { checkRange, newArray, totalBytes } from './byte-ranges.js';
import { copyBlob } from './copy-blob.js';
import { InFlight } from './in-flight.js';
import { InlineXattrs } from './inline-xattrs.js';
import { type Handle, parentOf, type StoreContext } from './store-context.js';
import { type GivenXattrs, givenXattrs } from './xattr-values.js';

export class InlineBlob implements Blob, Handle {
  readonly id: bigint;
  readonly xattrs: Xattrs;
  readonly #context: StoreContext;
  readonly #blob: EngineBlob;
  readonly #inFlight: InFlight;
  readonly #port: BytePort;
  #closing: Promise<void> | undefined;

  /** @param blob - open, with a reference that becomes the handle's */
  constructor(context: StoreContext, blob: EngineBlob) {
    const { channel, slots, edges } = context;
    const { ioUnitBytes } = context.blobstore.geometry;
    this.id = blob.id;
    this.#context = context;
    this.#blob = blob;
    this.#inFlight = new InFlight(`this handle of blob ${blob.id}`);
    this.xattrs = new InlineXattrs(context, blob, this.#inFlight);
    this.#port = {
      channel,
      slots,
      edges,
      order: context.orderOf(blob),
      unitBytes: ioUnitBytes,
      isSynchronous: context.device.synchronous,
      blob: () => blob,
      isAllocated: (unit) => blob.clusterAt(Math.floor((unit * ioUnitBytes) / context.clusterBytes)) !== 0,
    };
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
    return this.#inFlight.isClosed;
  }

  get engine(): EngineBlob {
    this.#inFlight.requireOpen();
    return this.#blob;
  }

  info(): Promise<BlobInfo> {
    return this.#inFlight.run('describe a blob', async () => this.#context.infoOf(this.#blob));
  }

  clones(): Promise<readonly bigint[]> {
    return this.#inFlight.run('list clones', async () => [...this.#context.blobstore.clonesOf(this.id)]);
  }

  read(offset: number, lengthOrInto: number | Uint8Array): Promise<Uint8Array> {
    return this.#inFlight.run('read', async () => {
      const into = this.#target(offset, lengthOrInto);
      await readBytes(this.#port, [into], offset, into.length);
      return into;
    });
  }

  readv(offset: number, into: readonly Uint8Array[]): Promise<void> {
    return this.#inFlight.run('read', () => {
      const list = checkBytesList('into', into);
      return readBytes(this.#port, list, offset, this.#checkList('read', list, offset));
    });
  }

  write(data: Uint8Array, offset: number): Promise<void> {
    return this.#inFlight.run('write', () => {
      const list = [checkBytes('data', data)];
      return writeBytes(this.#port, list, offset, this.#checkList('write', list, offset));
    });
  }

  writev(data: readonly Uint8Array[], offset: number): Promise<void> {
    return this.#inFlight.run('write', () => {
      const list = checkBytesList('data', data);
      return writeBytes(this.#port, list, offset, this.#checkList('write', list, offset));
    });
  }

  writeZeroes(offset: number, length: number): Promise<void> {
    return this.#inFlight.run('write zeroes', () => {
      checkRange('write zeroes', offset, length, this.sizeBytes);
      return zeroBytes(this.#port, offset, length);
    });
  }

  trim(offset: number, length: number): Promise<void> {
    return this.#inFlight.run('trim', () => {
      checkRange('trim', offset, length, this.sizeBytes);
      return trimBytes(this.#port, offset, length);
    });
  }

  readSync(offset: number, lengthOrInto: number | Uint8Array): Uint8Array {
    return this.#inFlight.runSync('read', () => {
      const into = this.#target(offset, lengthOrInto);
      readBytesSync(this.#port, [into], offset, into.length);
      return into;
    });
  }

  readvSync(offset: number, into: readonly Uint8Array[]): void {
    this.#inFlight.runSync('read', () => {
      const list = checkBytesList('into', into);
      readBytesSync(this.#port, list, offset, this.#checkList('read', list, offset));
    });
  }

  writeSync(data: Uint8Array, offset: number): void {
    this.#inFlight.runSync('write', () => {
      const list = [checkBytes('data', data)];
      writeBytesSync(this.#port, list, offset, this.#checkList('write', list, offset));
    });
  }

  writevSync(data: readonly Uint8Array[], offset: number): void {
    this.#inFlight.runSync('write', () => {
      const list = checkBytesList('data', data);
      writeBytesSync(this.#port, list, offset, this.#checkList('write', list, offset));
    });
  }

  writeZeroesSync(offset: number, length: number): void {
    this.#inFlight.runSync('write zeroes', () => {
      checkRange('write zeroes', offset, length, this.sizeBytes);
      zeroBytesSync(this.#port, offset, length);
    });
  }

  trimSync(offset: number, length: number): void {
    this.#inFlight.runSync('trim', () => {
      checkRange('trim', offset, length, this.sizeBytes);
      trimBytesSync(this.#port, offset, length);
    });
  }

  createReadStream(options?: ReadStreamOptions): Readable {
    this.#inFlight.requireOpen();
    const checked = checkReadStream(options, this.sizeBytes);
    return new BlobReadStream({ ...checked, read: (into, offset) => this.read(offset, into) });
  }

  createWriteStream(options?: WriteStreamOptions): Writable {
    this.#inFlight.requireOpen();
    const { flush, ...checked } = checkWriteStream(options, this.sizeBytes);
    return new BlobWriteStream({
      ...checked,
      writev: (data, offset) => this.writev(data, offset),
      finish: async () => {
        if (flush) await this.flush();
      },
    });
  }

  nextData(offset: number): number | undefined {
    return this.#nextFrom(offset, (unit) => this.#context.blobstore.nextAllocated(this.#blob, unit));
  }

  nextHole(offset: number): number | undefined {
    return this.#nextFrom(offset, (unit) => this.#context.blobstore.nextUnallocated(this.#blob, unit));
  }

  snapshot(options?: DerivedBlobOptions): Promise<Blob> {
    return this.#inFlight.run(`snapshot blob ${this.id}`, () => {
      const given = givenXattrs(checkOptions('options of a snapshot', options, ['name', 'xattrs']));
      return this.#derive(given, true, () => this.#snapshotListed(given));
    });
  }

  clone(options?: DerivedBlobOptions): Promise<Blob> {
    return this.#inFlight.run(`clone blob ${this.id}`, () => {
      const given = givenXattrs(checkOptions('options of a clone', options, ['name', 'xattrs']));
      return this.#derive(given, false, () => run(this.#context.blobstore.createClone(this.id, given.values)));
    });
  }

  inflate(options?: LongWorkOptions): Promise<void> {
    return this.#long('inflate', options, (checked) => {
      const { blobstore, channel } = this.#context;
      return run(blobstore.inflateBlob(channel, this.id, this.#context.watch(checked)));
    });
  }

  decouple(options?: LongWorkOptions): Promise<void> {
    return this.#long('decouple', options, (checked) => {
      const { blobstore, channel } = this.#context;
      return run(blobstore.decoupleBlob(channel, this.id, this.#context.watch(checked)));
    });
  }

  copyTo(device: DeviceSpec | BlockDevice, options?: LongWorkOptions): Promise<number> {
    return this.#long('copy', options, (checked) => copyBlob(this.#context, this.id, device, checked));
  }

  resize(bytes: number): Promise<void> {
    return this.#inFlight.run(`resize blob ${this.id}`, async () => {
      const clusterCount = Math.ceil(
        checkInteger('the size of a blob', bytes, 0, Number.MAX_SAFE_INTEGER) / this.#context.clusterBytes,
      );
      await this.#context.turns.with(this.id, { turn: true, state: true }, () => this.#resizeInTurn(clusterCount));
    });
  }

  setReadOnly(): Promise<void> {
    return this.#inFlight.run(`make blob ${this.id} read-only`, async () => {
      const { blobstore, turns } = this.#context;
      await turns.with(this.id, { turn: true, state: true }, async () => {
        blobstore.setReadOnly(this.#blob);
        await run(blobstore.syncBlob(this.#blob));
      });
    });
  }

  sync(): Promise<void> {
    return this.#inFlight.run(`sync blob ${this.id}`, async () => {
      await this.#context.turns.withState([this.id], () => run(this.#context.blobstore.syncBlob(this.#blob)));
    });
  }

  flush(): Promise<void> {
    return this.#inFlight.run(`flush blob ${this.id}`, async () => {
      await this.#context.turns.withState([this.id], () => run(this.#context.blobstore.flushBlob(this.#blob)));
    });
  }

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

  async #close(): Promise<void> {
    const { blobstore, turns, handles } = this.#context;
    await this.#inFlight.close();
    if (!blobstore.isClosed) {
      await turns.with(this.id, { state: true }, () => run(blobstore.closeBlob(this.#blob)));
    }
    handles.delete(this);
  }

  /** Makes a blob that has to do with this one, opens and lists it. */
  #derive(given: GivenXattrs, changesState: boolean, make: () => Promise<bigint>): Promise<Blob> {
    const { blobstore, catalogue, turns } = this.#context;
    return catalogue.promising(given.name, undefined, () =>
      turns.with(this.id, { turn: true, state: changesState }, async () => {
        const id = await make();
        catalogue.add(id, given.name);
        return new InlineBlob(this.#context, await run(blobstore.openBlob(id)));
      }),
    );
  }

  /** Makes a snapshot. When only its very end fails it is there all the same, and is listed before the error goes on. */
  async #snapshotListed(given: GivenXattrs): Promise<bigint> {
    const { blobstore, catalogue } = this.#context;
    try {
      return await run(blobstore.createSnapshot(this.id, given.values));
    } catch (error) {
      const made = parentOf(this.#blob);
      if (made !== undefined && !catalogue.has(made)) catalogue.add(made, given.name);
      throw error;
    }
  }

  async #long<T>(
    doing: string,
    options: LongWorkOptions | undefined,
    work: (checked: LongWorkOptions) => Promise<T>,
  ): Promise<T> {
    return this.#inFlight.run(`${doing} blob ${this.id}`, async () => {
      const checked = checkOptions(`options of ${doing}`, options, ['signal', 'onProgress']);
      const signal = checkSignalOr(checked.signal);
      checkFunctionOr('onProgress', checked.onProgress);
      return this.#context.turns.with(this.id, { turn: true, signal }, () => work(checked));
    });
  }

  /** Writes to what is cut off are waited for; those that come later wait, and then find that it is gone. */
  async #resizeInTurn(clusterCount: number): Promise<void> {
    const { blobstore } = this.#context;
    const { order } = this.#port;
    const end = Math.min(clusterCount, this.#blob.clusterCount) * blobstore.geometry.ioUnitsPerCluster;
    const turn = order.enter({ first: end, end: Number.POSITIVE_INFINITY, head: -1, tail: -1 }, true);
    try {
      await order.whenReady(turn);
      await run(blobstore.resizeBlob(this.#blob, clusterCount));
    } finally {
      order.leave(turn);
    }
    await run(blobstore.syncBlob(this.#blob));
  }

  /** The array to read into. */
  #target(offset: number, lengthOrInto: number | Uint8Array): Uint8Array {
    if (typeof lengthOrInto !== 'number') {
      const into = checkBytes('the array to read into, or the length', lengthOrInto);
      checkRange('read', offset, into.length, this.sizeBytes);
      return into;
    }
    checkRange('read', offset, lengthOrInto, this.sizeBytes);
    return newArray(lengthOrInto);
  }

  /** Checks a range given by arrays; answers its length. */
  #checkList(doing: string, list: readonly Uint8Array[], offset: number): number {
    const length = totalBytes(list);
    checkRange(doing, offset, length, this.sizeBytes);
    return length;
  }

  #nextFrom(offset: number, find: (unit: number) => number | undefined): number | undefined {
    return this.#inFlight.runSync('look for data', () => {
      checkRange('look for data', offset, 0, this.sizeBytes);
      const { unitBytes } = this.#port;
      const unit = find(Math.floor(offset / unitBytes));
      return unit === undefined ? undefined : Math.max(offset, unit * unitBytes);
    });
  }
}

/** EBUSY is for handles that stay open; one that is closing is waited for. */
export function requireNoHandles(context: StoreContext, id: bigint): void {
  const open = [...context.handles].filter((handle) => handle.id === id && !handle.isClosed).length;
  if (open === 0) return;
  throw new BlobstoreError('EBUSY', `blob ${id} cannot be deleted: ${open} of its handles are open; close them first`);
}
