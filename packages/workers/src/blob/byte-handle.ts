/** The part of a blob's handle that moves bytes: the same in all modes. */

import type { Readable, Writable } from 'node:stream';
import { types } from 'node:util';
import type { BlobRef } from '@blobyard/core';
import type { Blob, ReadStreamOptions, WriteStreamOptions } from '../api/blob.js';
import { openedReadOnly } from '../api/failures.js';
import { checkBytes, checkBytesList } from '../checks/checks.js';
import { checkReadStream, checkWriteStream } from '../checks/stream-options.js';
import { BlobView } from '../data/blob-view.js';
import { type BytePort, readBytes, type SyncPort, trimBytes, writeBytes, zeroBytes } from '../data/byte-io.js';
import { readBytesSync, trimBytesSync, writeBytesSync, zeroBytesSync } from '../data/byte-io-sync.js';
import { checkRange, newArray, totalBytes } from '../data/byte-ranges.js';
import type { DataPort, ShortWay } from '../data/data-port.js';
import { InFlight } from '../data/in-flight.js';
import type { OpenedBlob } from '../ports/metadata-port.js';
import { BlobReadStream } from '../streams/blob-read-stream.js';
import { BlobWriteStream } from '../streams/blob-write-stream.js';
import type { BlobCommons, BlobContext } from './blob-context.js';

const { isUint8Array } = types;

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

  /** The current size of the blob, in bytes. On a closed handle, the last known size. */
  get sizeBytes(): number {
    return this.view.clusterCount * this.context.parts.geometry.clusterBytes;
  }

  read(offset: number, length: number): Promise<Uint8Array>;
  read(offset: number, into: Uint8Array): Promise<Uint8Array>;
  read(offset: number, lengthOrInto: number | Uint8Array): Promise<Uint8Array> {
    if (isUint8Array(lengthOrInto) && typeof offset === 'number' && this.inFlight.isUsable) {
      const reading = this.#way?.read(this.view, lengthOrInto, offset, this.inFlight);
      if (reading !== undefined) return reading;
    }
    return this.#read(offset, lengthOrInto);
  }

  readv(offset: number, into: readonly Uint8Array[]): Promise<void> {
    return this.inFlight.run('read', () => {
      const list = checkBytesList('into', into);
      return readBytes(this.#port, list, offset, this.#checkList('read', list, offset));
    });
  }

  write(data: Uint8Array, offset: number): Promise<void> {
    if (isUint8Array(data) && typeof offset === 'number' && this.inFlight.isUsable) {
      const writing = this.#way?.write(this.view, data, offset, this.inFlight, this.commons.order);
      if (writing !== undefined) return writing;
    }
    return this.#write(data, offset);
  }

  #write(data: Uint8Array, offset: number): Promise<void> {
    return this.inFlight.run('write', () => {
      this.#requireWritable();
      const list = [checkBytes('data', data)];
      return writeBytes(this.#port, list, offset, this.#checkList('write', list, offset));
    });
  }

  writev(data: readonly Uint8Array[], offset: number): Promise<void> {
    return this.inFlight.run('write', () => {
      this.#requireWritable();
      const list = checkBytesList('data', data);
      return writeBytes(this.#port, list, offset, this.#checkList('write', list, offset));
    });
  }

  writeZeroes(offset: number, length: number): Promise<void> {
    return this.inFlight.run('write zeroes', () => {
      this.#requireWritable();
      checkRange('write zeroes', offset, length, this.sizeBytes);
      return zeroBytes(this.#port, offset, length);
    });
  }

  trim(offset: number, length: number): Promise<void> {
    return this.inFlight.run('trim', () => {
      this.#requireWritable();
      checkRange('trim', offset, length, this.sizeBytes);
      return trimBytes(this.#port, offset, length);
    });
  }

  readSync(offset: number, lengthOrInto: number | Uint8Array): Uint8Array {
    if (isUint8Array(lengthOrInto) && typeof offset === 'number' && this.inFlight.isUsable) {
      if (this.#way?.readSync(this.view, lengthOrInto, offset)) return lengthOrInto;
    }
    return this.#readSync(offset, lengthOrInto);
  }

  #readSync(offset: number, lengthOrInto: number | Uint8Array): Uint8Array {
    return this.inFlight.runSync('read', () => {
      const into = this.#target(offset, lengthOrInto);
      const isNew = into !== lengthOrInto; // for a given array, the fast path has been tried
      if (isNew && this.#way?.readSync(this.view, into, offset)) return into;
      readBytesSync(this.#sync(), [into], offset, into.length);
      return into;
    });
  }

  readvSync(offset: number, into: readonly Uint8Array[]): void {
    this.inFlight.runSync('read', () => {
      const list = checkBytesList('into', into);
      readBytesSync(this.#sync(), list, offset, this.#checkList('read', list, offset));
    });
  }

  writeSync(data: Uint8Array, offset: number): void {
    if (isUint8Array(data) && typeof offset === 'number' && this.inFlight.isUsable) {
      if (this.#way?.writeSync(this.view, data, offset, this.commons.order)) return;
    }
    this.#writeSync(data, offset);
  }

  #writeSync(data: Uint8Array, offset: number): void {
    this.inFlight.runSync('write', () => {
      this.#requireWritable();
      const list = [checkBytes('data', data)];
      writeBytesSync(this.#sync(), list, offset, this.#checkList('write', list, offset));
    });
  }

  writevSync(data: readonly Uint8Array[], offset: number): void {
    this.inFlight.runSync('write', () => {
      this.#requireWritable();
      const list = checkBytesList('data', data);
      writeBytesSync(this.#sync(), list, offset, this.#checkList('write', list, offset));
    });
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

  createReadStream(options?: ReadStreamOptions): Readable {
    this.inFlight.requireOpen();
    const checked = checkReadStream(options, this.sizeBytes);
    return new BlobReadStream({ ...checked, read: (into, offset) => this.read(offset, into) });
  }

  createWriteStream(options?: WriteStreamOptions): Writable {
    this.inFlight.requireOpen();
    this.#requireWritable();
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
    return this.#nextFrom(offset, true);
  }

  nextHole(offset: number): number | undefined {
    return this.#nextFrom(offset, false);
  }

  #read(offset: number, lengthOrInto: number | Uint8Array): Promise<Uint8Array> {
    return this.inFlight.run('read', async () => {
      const into = this.#target(offset, lengthOrInto);
      const isNew = into !== lengthOrInto && into.length > 0; // for a given array, the fast path has been tried
      const reading = isNew ? this.#way?.read(this.view, into, offset, this.inFlight) : undefined;
      if (reading !== undefined) return reading;
      await readBytes(this.#port, [into], offset, into.length);
      return into;
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
  #target(offset: number, lengthOrInto: number | Uint8Array): Uint8Array {
    if (typeof lengthOrInto !== 'number') {
      const into = checkBytes('the array to read into, or the length', lengthOrInto);
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

/** Returns the path to the data for synchronous calls. The first argument is what it shares with the promise path. */
function syncPort(
  { edges, order, unitBytes, blob, isAllocated }: Omit<SyncPort, 'channel' | 'bytes'>,
  data: DataPort,
): SyncPort {
  const channel = data.syncChannel();
  return { edges, order, unitBytes, blob, isAllocated, channel, bytes: channel.takesBytes ? channel : undefined };
}
