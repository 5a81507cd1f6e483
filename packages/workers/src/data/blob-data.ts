/** Reads and writes of one blob in bytes, as every handle has them, whatever channel it has. */

import { checkBytes, checkBytesList } from '../checks.js';
import { checkRange, newArray, totalBytes } from '../inline/byte-ranges.js';
import type { InFlight } from '../inline/in-flight.js';
import { type BytePort, readBytes, trimBytes, writeBytes, zeroBytes } from './byte-io.js';
import { readBytesSync, trimBytesSync, writeBytesSync, zeroBytesSync } from './byte-io-sync.js';

export abstract class BlobData {
  protected readonly port: BytePort;
  protected readonly inFlight: InFlight;

  constructor(port: BytePort, inFlight: InFlight) {
    this.port = port;
    this.inFlight = inFlight;
  }

  abstract get sizeBytes(): number;

  /** Where the blob ends, for an operation on it; throws EBADF where there is no such blob any more. */
  protected get endBytes(): number {
    return this.sizeBytes;
  }

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
      checkRange('write zeroes', offset, length, this.endBytes);
      return zeroBytes(this.port, offset, length);
    });
  }

  trim(offset: number, length: number): Promise<void> {
    return this.inFlight.run('trim', () => {
      checkRange('trim', offset, length, this.endBytes);
      return trimBytes(this.port, offset, length);
    });
  }

  readSync(offset: number, lengthOrInto: number | Uint8Array): Uint8Array {
    return this.inFlight.runSync('read', () => {
      const into = this.#target(offset, lengthOrInto);
      readBytesSync(this.port, [into], offset, into.length);
      return into;
    });
  }

  readvSync(offset: number, into: readonly Uint8Array[]): void {
    this.inFlight.runSync('read', () => {
      const list = checkBytesList('into', into);
      readBytesSync(this.port, list, offset, this.#checkList('read', list, offset));
    });
  }

  writeSync(data: Uint8Array, offset: number): void {
    this.inFlight.runSync('write', () => {
      const list = [checkBytes('data', data)];
      writeBytesSync(this.port, list, offset, this.#checkList('write', list, offset));
    });
  }

  writevSync(data: readonly Uint8Array[], offset: number): void {
    this.inFlight.runSync('write', () => {
      const list = checkBytesList('data', data);
      writeBytesSync(this.port, list, offset, this.#checkList('write', list, offset));
    });
  }

  writeZeroesSync(offset: number, length: number): void {
    this.inFlight.runSync('write zeroes', () => {
      checkRange('write zeroes', offset, length, this.endBytes);
      zeroBytesSync(this.port, offset, length);
    });
  }

  trimSync(offset: number, length: number): void {
    this.inFlight.runSync('trim', () => {
      checkRange('trim', offset, length, this.endBytes);
      trimBytesSync(this.port, offset, length);
    });
  }

  /** The array to read into. */
  #target(offset: number, lengthOrInto: number | Uint8Array): Uint8Array {
    if (typeof lengthOrInto !== 'number') {
      const into = checkBytes('the array to read into, or the length', lengthOrInto);
      checkRange('read', offset, into.length, this.endBytes);
      return into;
    }
    checkRange('read', offset, lengthOrInto, this.endBytes);
    return newArray(lengthOrInto);
  }

  /** Checks a range given by arrays; answers its length. */
  #checkList(doing: string, list: readonly Uint8Array[], offset: number): number {
    const length = totalBytes(list);
    checkRange(doing, offset, length, this.endBytes);
    return length;
  }
}
