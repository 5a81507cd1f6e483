/** The part of a blob's handle that moves bytes: the same in all modes. */

import { types } from 'node:util';
import type { BlobRef } from '@blobyard/core';
import type { AbortableOptions } from '../api/abort.js';
import type {
  Blob,
  BlobData,
  BlobReadable,
  BlobWritable,
  EncodingOptions,
  NewBytes,
  ReadStreamOptions,
  WriteStreamOptions,
} from '../api/blob.js';
import { openedReadOnly, throwIfAborted } from '../api/failures.js';
import { checkAbortable, checkNotAborted, checkOptions } from '../checks/checks.js';
import { checkData, checkDataList, checkEncodingOr, checkView, checkViewList } from '../checks/data.js';
import { checkReadStream, checkWriteStream } from '../checks/stream-options.js';
import { BlobView } from '../data/blob-view.js';
import { type BytePort, readBytes, type SyncPort, trimBytes, writeBytes, zeroBytes } from '../data/byte-io.js';
import { readBytesSync, trimBytesSync, writeBytesSync, zeroBytesSync } from '../data/byte-io-sync.js';
import { checkRange, newArray, totalBytes } from '../data/byte-ranges.js';
import type { DataPort, ShortWay } from '../data/data-port.js';
import { InFlight } from '../data/in-flight.js';
import { partSizes } from '../data/parts.js';
import type { OpenedBlob } from '../ports/metadata-port.js';
import { BlobReadStream } from '../streams/blob-read-stream.js';
import { BlobWriteStream } from '../streams/blob-write-stream.js';
import type { BlobCommons, BlobContext } from './blob-context.js';

const { isUint8Array } = types;

type WriteOptions = AbortableOptions & EncodingOptions;
type LengthOrInto = number | NodeJS.ArrayBufferView;
/** Returns the bytes to write. Throws EINVAL. */
type ReadData = (encoding: BufferEncoding | undefined) => readonly Uint8Array[];

type ByteMethods =
  | 'read'
  | 'readv'
  | 'write'
  | 'writev'
  | 'writeZeroes'
  | 'trim'
  | 'readSync'
  | 'readvSync'
  | 'writeSync'
  | 'writevSync'
  | 'writeZeroesSync'
  | 'trimSync'
  | 'createReadStream'
  | 'createWriteStream'
  | 'nextData'
  | 'nextHole';

export abstract class ByteHandle implements Pick<Blob, ByteMethods>, BlobRef {
  readonly id: bigint;
  /** The slot and the generation by which channels identify the blob. */
  readonly slot: number;
  readonly generation: number;
  protected readonly context: BlobContext;
  protected readonly commons: BlobCommons;
  protected readonly inFlight: InFlight;
  /** The blob's state in shared memory. */
  protected readonly view: BlobView;
  #bytePort: BytePort | undefined;
  readonly #way: ShortWay | undefined;
  #syncPort: SyncPort | undefined;

  constructor(context: BlobContext, opened: OpenedBlob) {
    const { data, shared, busy, turns } = context.parts;
    this.id = opened.id;
    this.slot = opened.slot;
    this.generation = opened.generation;
    this.context = context;
    this.commons = context.commonsOf(opened);
    this.inFlight = new InFlight(`this handle of blob ${opened.id}`, busy, turns);
    this.view = new BlobView(shared, opened.slot, opened.generation);
    this.#way = data.way;
  }

  abstract flush(): Promise<void>;

  /** Makes the blob at least so large, in bytes. Never makes it smaller, whatever other threads do meanwhile. */
  protected abstract growTo(bytes: number): Promise<void>;

  /** The current size of the blob, in bytes. On a closed handle, the last known size. */
  get sizeBytes(): number {
    return this.view.clusterCount * this.context.parts.geometry.clusterBytes;
  }

  read(offset: number, length: number, options?: AbortableOptions): Promise<NewBytes>;
  read<T extends NodeJS.ArrayBufferView>(offset: number, into: T, options?: AbortableOptions): Promise<T>;
  read(offset: number, lengthOrInto: LengthOrInto, options?: AbortableOptions): Promise<NodeJS.ArrayBufferView> {
    if (isUint8Array(lengthOrInto) && options === undefined && typeof offset === 'number' && this.inFlight.isUsable) {
      const reading = this.#way?.read(this.view, lengthOrInto, offset, this.inFlight);
      if (reading !== undefined) return reading;
    }
    return this.#read(offset, lengthOrInto, options);
  }

  readv(offset: number, into: readonly NodeJS.ArrayBufferView[], options?: AbortableOptions): Promise<void> {
    return this.inFlight.run('read', () => {
      const signal = checkAbortable('readv', options);
      const list = checkViewList('into', into);
      return readBytes(this.#portFor(signal), list, offset, this.#checkList('read', list, offset));
    });
  }

  write(data: BlobData, offset: number, options?: WriteOptions): Promise<void> {
    if (isUint8Array(data) && options === undefined && typeof offset === 'number' && this.inFlight.isUsable) {
      const writing = this.#way?.write(this.view, data, offset, this.inFlight, this.commons.order);
      if (writing !== undefined) return writing;
    }
    return this.#write('write', offset, options, (encoding) => [checkData('data', data, encoding)]);
  }

  writev(data: readonly BlobData[], offset: number, options?: WriteOptions): Promise<void> {
    return this.#write('writev', offset, options, (encoding) => checkDataList('data', data, encoding));
  }

  writeZeroes(offset: number, length: number, options?: AbortableOptions): Promise<void> {
    return this.inFlight.run('write zeroes', () => {
      this.#requireWritable();
      const signal = checkAbortable('writeZeroes', options);
      checkRange('write zeroes', offset, length, this.sizeBytes);
      return zeroBytes(this.#portFor(signal), offset, length);
    });
  }

  trim(offset: number, length: number, options?: AbortableOptions): Promise<void> {
    return this.inFlight.run('trim', () => {
      this.#requireWritable();
      const signal = checkAbortable('trim', options);
      checkRange('trim', offset, length, this.sizeBytes);
      return trimBytes(this.#portFor(signal), offset, length);
    });
  }

  readSync(offset: number, length: number): NewBytes;
  readSync<T extends NodeJS.ArrayBufferView>(offset: number, into: T): T;
  readSync(offset: number, lengthOrInto: LengthOrInto): NodeJS.ArrayBufferView {
    if (isUint8Array(lengthOrInto) && typeof offset === 'number' && this.inFlight.isUsable) {
      if (this.#way?.readSync(this.view, lengthOrInto, offset)) return lengthOrInto;
    }
    return this.#readSync(offset, lengthOrInto);
  }

  #readSync(offset: number, lengthOrInto: LengthOrInto): NodeJS.ArrayBufferView {
    return this.inFlight.runSync('read', () => {
      const into = this.#target(offset, lengthOrInto);
      const isTried = into === lengthOrInto; // on the fast path
      if (isTried || !this.#way?.readSync(this.view, into, offset)) {
        readBytesSync(this.#sync(), [into], offset, into.length);
      }
      return typeof lengthOrInto === 'number' ? into : lengthOrInto;
    });
  }

  readvSync(offset: number, into: readonly NodeJS.ArrayBufferView[]): void {
    this.inFlight.runSync('read', () => {
      const list = checkViewList('into', into);
      readBytesSync(this.#sync(), list, offset, this.#checkList('read', list, offset));
    });
  }

  writeSync(data: BlobData, offset: number, options?: EncodingOptions): void {
    if (isUint8Array(data) && options === undefined && typeof offset === 'number' && this.inFlight.isUsable) {
      if (this.#way?.writeSync(this.view, data, offset, this.commons.order)) return;
    }
    this.#writeSync('writeSync', offset, options, (encoding) => [checkData('data', data, encoding)]);
  }

  writevSync(data: readonly BlobData[], offset: number, options?: EncodingOptions): void {
    this.#writeSync('writevSync', offset, options, (encoding) => checkDataList('data', data, encoding));
  }

  writeZeroesSync(offset: number, length: number): void {
    this.inFlight.runSync('write zeroes', () => {
      this.#requireWritable();
      checkRange('write zeroes', offset, length, this.sizeBytes);
      zeroBytesSync(this.#sync(), offset, length);
    });
  }

  trimSync(offset: number, length: number): void {
    this.inFlight.runSync('trim', () => {
      this.#requireWritable();
      checkRange('trim', offset, length, this.sizeBytes);
      trimBytesSync(this.#sync(), offset, length);
    });
  }

  createReadStream(options?: ReadStreamOptions): BlobReadable {
    this.inFlight.requireOpen();
    const checked = checkReadStream(options, this.sizeBytes);
    return new BlobReadStream({ ...checked, read: (into, offset) => this.read(offset, into) });
  }

  createWriteStream(options?: WriteStreamOptions): BlobWritable {
    this.inFlight.requireOpen();
    this.#requireWritable();
    const { flush, grow, ...checked } = checkWriteStream(options, this.sizeBytes);
    return new BlobWriteStream({
      ...checked,
      writev: async (data, offset) => {
        const end = offset + totalBytes(data);
        if (grow && end > this.sizeBytes) await this.growTo(end);
        await this.writev(data, offset);
      },
      finish: async () => {
        if (flush) await this.flush();
      },
    });
  }

  nextData(offset: number): number | undefined {
    return this.#nextFrom(offset, true);
  }

  nextHole(offset: number): number | undefined {
    return this.#nextFrom(offset, false);
  }

  #read(offset: number, lengthOrInto: LengthOrInto, options?: AbortableOptions): Promise<NodeJS.ArrayBufferView> {
    return this.inFlight.run('read', async () => {
      const signal = checkAbortable('read', options);
      const into = this.#target(offset, lengthOrInto);
      const isTried = into === lengthOrInto || into.length === 0; // on the fast path
      const mayBeShort = !isTried && signal === undefined;
      const reading = mayBeShort ? this.#way?.read(this.view, into, offset, this.inFlight) : undefined;
      await (reading ?? readBytes(this.#portFor(signal), [into], offset, into.length));
      return typeof lengthOrInto === 'number' ? into : lengthOrInto;
    });
  }

  #write(doing: string, offset: number, options: WriteOptions | undefined, read: ReadData): Promise<void> {
    return this.inFlight.run('write', () => {
      this.#requireWritable();
      const { encoding, signal } = checkWriteOptions(doing, options);
      const list = read(encoding);
      return writeBytes(this.#portFor(signal), list, offset, this.#checkList('write', list, offset));
    });
  }

  #writeSync(doing: string, offset: number, options: EncodingOptions | undefined, read: ReadData): void {
    this.inFlight.runSync('write', () => {
      this.#requireWritable();
      const { encoding } = checkOptions(`options of ${doing}`, options, ['encoding']);
      const list = read(checkEncodingOr(encoding));
      writeBytesSync(this.#sync(), list, offset, this.#checkList('write', list, offset));
    });
  }

  #requireWritable(): void {
    if (this.context.parts.isReadOnly) throw openedReadOnly();
  }

  /** The general path to the data, created on first use. */
  get #port(): BytePort {
    this.#bytePort ??= this.#makePort();
    return this.#bytePort;
  }

  /**
   * The same path for one call that can be aborted. Each request asks for the blob just before it begins, so no request
   * begins after the abort. Long transfers are made in parts, also where other threads make them.
   */
  #portFor(signal: AbortSignal | undefined): BytePort {
    const port = this.#port;
    if (signal === undefined) return port;
    const { clusterBytes, ioUnitBytes } = this.context.parts.geometry;
    const blob = () => {
      throwIfAborted(signal);
      return this.view;
    };
    const parts = port.parts ?? partSizes(clusterBytes, ioUnitBytes);
    return { ...port, blob, parts, atOnce: port.atOnce && { ...port.atOnce, blob } };
  }

  #makePort(): BytePort {
    const { view } = this;
    const { data, geometry } = this.context.parts;
    const common = {
      edges: this.context.edges,
      order: this.commons.order,
      unitBytes: geometry.ioUnitBytes,
      blob: () => view,
      isAllocated: (unit: number) => view.isAllocated(Math.floor(unit / geometry.ioUnitsPerCluster)),
    };
    const { channel, bytes, slots, parts } = data;
    this.#syncPort = data.isAtOnce ? syncPort(common, data) : undefined;
    return { ...common, channel, bytes, slots, parts, atOnce: this.#syncPort };
  }

  /** The path to the data for synchronous calls. Throws ENOTSUP if the device is asynchronous. */
  #sync(): SyncPort {
    this.#syncPort ??= syncPort(this.#port, this.context.parts.data);
    return this.#syncPort;
  }

  /** The array to read into. */
  #target(offset: number, lengthOrInto: LengthOrInto): Uint8Array {
    if (typeof lengthOrInto !== 'number') {
      const into = checkView('the array to read into, or the length', lengthOrInto);
      checkRange('read', offset, into.length, this.sizeBytes);
      return into;
    }
    checkRange('read', offset, lengthOrInto, this.sizeBytes);
    return newArray(lengthOrInto);
  }

  /** Checks a range given by arrays. Returns its length in bytes. */
  #checkList(doing: string, list: readonly Uint8Array[], offset: number): number {
    const length = totalBytes(list);
    checkRange(doing, offset, length, this.sizeBytes);
    return length;
  }

  #nextFrom(offset: number, isData: boolean): number | undefined {
    return this.inFlight.runSync('look for data', () => {
      checkRange('look for data', offset, 0, this.sizeBytes);
      const { clusterBytes } = this.context.parts.geometry;
      const cluster = this.view.find(Math.floor(offset / clusterBytes), isData);
      return cluster === undefined ? undefined : Math.max(offset, cluster * clusterBytes);
    });
  }
}

function checkWriteOptions(doing: string, options: WriteOptions | undefined): WriteOptions {
  if (options === undefined) return {};
  const { encoding, signal } = checkOptions(`options of ${doing}`, options, ['encoding', 'signal']);
  return { encoding: checkEncodingOr(encoding), signal: checkNotAborted(signal) };
}

/** Returns the path to the data for synchronous calls. The first argument is what it shares with the promise path. */
function syncPort(
  { edges, order, unitBytes, blob, isAllocated }: Omit<SyncPort, 'channel' | 'bytes'>,
  data: DataPort,
): SyncPort {
  const channel = data.syncChannel();
  return { edges, order, unitBytes, blob, isAllocated, channel, bytes: channel.takesBytes ? channel : undefined };
}
