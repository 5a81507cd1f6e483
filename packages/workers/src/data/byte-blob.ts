/** The part of a blob's handle that moves bytes: the same wherever the channel is. */

import type { Readable, Writable } from 'node:stream';
import type { Blob, ReadStreamOptions, WriteStreamOptions } from '../api/blob.js';
import { checkBytes, checkBytesList } from '../checks/checks.js';
import { checkReadStream, checkWriteStream } from '../checks/stream-options.js';
import { BlobReadStream } from '../streams/blob-read-stream.js';
import { BlobWriteStream } from '../streams/blob-write-stream.js';
import { type BytePort, readBytes, type SyncPort, trimBytes, writeBytes, zeroBytes } from './byte-io.js';
import { readBytesSync, trimBytesSync, writeBytesSync, zeroBytesSync } from './byte-io-sync.js';
import { checkRange, newArray, totalBytes } from './byte-ranges.js';
import type { InFlight } from './in-flight.js';

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

export abstract class ByteBlob implements Pick<Blob, ByteMethods> {
  protected abstract readonly inFlight: InFlight;
  protected abstract readonly port: BytePort;

  abstract get sizeBytes(): number;
  abstract flush(): Promise<void>;

  /** The way to the data on the calling thread. ENOTSUP when there is none. */
  protected abstract syncPort(): SyncPort;

  /** The first io unit from `unit` on whose cluster is the blob's own (`isData`), or is not. */
  protected abstract nextUnit(unit: number, isData: boolean): number | undefined;

  read(offset: number, lengthOrInto: number | Uint8Array): Promise<Uint8Array> {
    return this.inFlight.run('read', async () => {
      const into = this.#target(offset, lengthOrInto);
      await readBytes(this.port, [into], offset, into.length);
      return into;
    });
  }

  readv(offset: number, into: readonly Uint8Array[]): Promise<void> {
    return this.inFlight.run('read', () => {
      const list = checkBytesList('into', into);
      return readBytes(this.port, list, offset, this.#checkList('read', list, offset));
    });
  }

  write(data: Uint8Array, offset: number): Promise<void> {
    return this.inFlight.run('write', () => {
      const list = [checkBytes('data', data)];
      return writeBytes(this.port, list, offset, this.#checkList('write', list, offset));
    });
  }

  writev(data: readonly Uint8Array[], offset: number): Promise<void> {
    return this.inFlight.run('write', () => {
      const list = checkBytesList('data', data);
      return writeBytes(this.port, list, offset, this.#checkList('write', list, offset));
    });
  }

  writeZeroes(offset: number, length: number): Promise<void> {
    return this.inFlight.run('write zeroes', () => {
      checkRange('write zeroes', offset, length, this.sizeBytes);
      return zeroBytes(this.port, offset, length);
    });
  }

  trim(offset: number, length: number): Promise<void> {
    return this.inFlight.run('trim', () => {
      checkRange('trim', offset, length, this.sizeBytes);
      return trimBytes(this.port, offset, length);
    });
  }

  readSync(offset: number, lengthOrInto: number | Uint8Array): Uint8Array {
    return this.inFlight.runSync('read', () => {
      const into = this.#target(offset, lengthOrInto);
      readBytesSync(this.syncPort(), [into], offset, into.length);
      return into;
    });
  }

  readvSync(offset: number, into: readonly Uint8Array[]): void {
    this.inFlight.runSync('read', () => {
      const list = checkBytesList('into', into);
      readBytesSync(this.syncPort(), list, offset, this.#checkList('read', list, offset));
    });
  }

  writeSync(data: Uint8Array, offset: number): void {
    this.inFlight.runSync('write', () => {
      const list = [checkBytes('data', data)];
      writeBytesSync(this.syncPort(), list, offset, this.#checkList('write', list, offset));
    });
  }

  writevSync(data: readonly Uint8Array[], offset: number): void {
    this.inFlight.runSync('write', () => {
      const list = checkBytesList('data', data);
      writeBytesSync(this.syncPort(), list, offset, this.#checkList('write', list, offset));
    });
  }

  writeZeroesSync(offset: number, length: number): void {
    this.inFlight.runSync('write zeroes', () => {
      checkRange('write zeroes', offset, length, this.sizeBytes);
      zeroBytesSync(this.syncPort(), offset, length);
    });
  }

  trimSync(offset: number, length: number): void {
    this.inFlight.runSync('trim', () => {
      checkRange('trim', offset, length, this.sizeBytes);
      trimBytesSync(this.syncPort(), offset, length);
    });
  }

  createReadStream(options?: ReadStreamOptions): Readable {
    this.inFlight.requireOpen();
    const checked = checkReadStream(options, this.sizeBytes);
    return new BlobReadStream({ ...checked, read: (into, offset) => this.read(offset, into) });
  }

  createWriteStream(options?: WriteStreamOptions): Writable {
    this.inFlight.requireOpen();
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

  #nextFrom(offset: number, isData: boolean): number | undefined {
    return this.inFlight.runSync('look for data', () => {
      checkRange('look for data', offset, 0, this.sizeBytes);
      const { unitBytes } = this.port;
      const unit = this.nextUnit(Math.floor(offset / unitBytes), isData);
      return unit === undefined ? undefined : Math.max(offset, unit * unitBytes);
    });
  }
}
