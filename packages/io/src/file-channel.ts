/** The kinds of channel of a file device: synchronous, synchronous with reads through a mapping, and with promises. */

import type { DeviceChannel } from '@blobyard/core';
import {
  flushFileAsync,
  readAtAsync,
  readvAtAsync,
  writeAtAsync,
  writevAtAsync,
  zeroAtAsync,
} from './async-file-transfer.js';
import { checkBuffer, checkByteRange, checkList, checkOpen, checkRange } from './bounds.js';
import { transferError } from './file-errors.js';
import { flushFile, readAt, readvAt, writeAt, writevAt, zeroAt } from './file-transfer.js';
import type { MappedFile } from './mapped-file.js';
import type { OpenFile } from './open-file.js';

/** The checks that both kinds make before a transfer. */
class ChannelGate {
  readonly #file: OpenFile;
  readonly #onClose: () => void;
  #isOpen = true;

  constructor(file: OpenFile, onClose: () => void) {
    this.#file = file;
    this.#onClose = onClose;
  }

  /** Checks a transfer, and returns its length in bytes. Throws EBADF, EIO or EINVAL. */
  admit(operation: string, lba: number, blockCount: number): number {
    const file = this.#file;
    this.checkOpen(operation);
    const isWhole = Number.isSafeInteger(lba) && Number.isSafeInteger(blockCount);
    if (isWhole && lba + blockCount > file.blockCount) this.#lookAgain(operation);
    checkRange(operation, lba, blockCount, file.blockCount);
    return blockCount * file.blockLengthBytes;
  }

  /** Same as `admit`, for a range of bytes. */
  admitBytes(operation: string, position: number, length: number): void {
    const file = this.#file;
    this.checkOpen(operation);
    const isWhole = Number.isSafeInteger(position) && Number.isSafeInteger(length);
    if (isWhole && position + length > file.blockCount * file.blockLengthBytes) this.#lookAgain(operation);
    checkByteRange(operation, position, length, file.blockCount * file.blockLengthBytes);
  }

  admitBytesToWrite(operation: string, position: number, length: number): void {
    this.#file.checkWritable(operation);
    this.admitBytes(operation, position, length);
    this.#file.checkLength(operation, position + length);
  }

  admitWrite(operation: string, lba: number, blockCount: number): number {
    this.#file.checkWritable(operation);
    const length = this.admit(operation, lba, blockCount);
    this.#file.checkLength(operation, lba * this.#file.blockLengthBytes + length);
    return length;
  }

  checkOpen(operation: string): void {
    checkOpen(operation, this.#isOpen && this.#file.isOpen);
  }

  close(): void {
    this.#isOpen = false;
    this.#onClose();
  }

  /** Looks the size up again: another thread may have extended the file. */
  #lookAgain(operation: string): void {
    try {
      this.#file.lookUpSize();
    } catch (cause) {
      throw transferError(cause, `${operation} of ${this.#file.path}, whose size cannot be looked up`);
    }
  }
}

type MoveBytes = NonNullable<DeviceChannel['readBytes']>;

/** What both modes have in common. */
abstract class FileChannel {
  /** There only if the file takes any range of bytes. */
  readonly readBytes: MoveBytes | undefined;
  readonly writeBytes: MoveBytes | undefined;
  protected readonly file: OpenFile;
  protected readonly gate: ChannelGate;

  constructor(file: OpenFile, onClose: () => void) {
    this.file = file;
    this.gate = new ChannelGate(file, onClose);
    if (!file.takesBytes) return;
    this.readBytes = this.readRange;
    this.writeBytes = this.writeRange;
  }

  protected abstract readRange(...range: Parameters<MoveBytes>): ReturnType<MoveBytes>;
  protected abstract writeRange(...range: Parameters<MoveBytes>): ReturnType<MoveBytes>;

  close(): void {
    this.gate.close();
  }
}

/** The channel of a device with `mode: 'sync'`: the calling thread makes the system calls. */
export class SyncFileChannel extends FileChannel implements DeviceChannel {
  read(buffer: Uint8Array, bufferOffset: number, lba: number, blockCount: number): void {
    const length = this.gate.admit('read', lba, blockCount);
    checkBuffer('read', buffer, bufferOffset, length);
    readAt(this.file, buffer, bufferOffset, length, lba * this.file.blockLengthBytes);
  }

  write(buffer: Uint8Array, bufferOffset: number, lba: number, blockCount: number): void {
    const length = this.gate.admitWrite('write', lba, blockCount);
    checkBuffer('write', buffer, bufferOffset, length);
    writeAt(this.file, buffer, bufferOffset, length, lba * this.file.blockLengthBytes);
  }

  readv(buffers: readonly Uint8Array[], lba: number, blockCount: number): void {
    const length = this.gate.admit('readv', lba, blockCount);
    checkList('readv', buffers, length);
    readvAt(this.file, buffers, length, lba * this.file.blockLengthBytes);
  }

  writev(buffers: readonly Uint8Array[], lba: number, blockCount: number): void {
    const length = this.gate.admitWrite('writev', lba, blockCount);
    checkList('writev', buffers, length);
    writevAt(this.file, buffers, length, lba * this.file.blockLengthBytes);
  }

  writeZeroes(lba: number, blockCount: number): void {
    zeroAt(this.file, this.gate.admitWrite('writeZeroes', lba, blockCount), lba * this.file.blockLengthBytes);
  }

  unmap(lba: number, blockCount: number): void {
    zeroAt(this.file, this.gate.admitWrite('unmap', lba, blockCount), lba * this.file.blockLengthBytes);
  }

  flush(): void {
    this.gate.checkOpen('flush');
    flushFile(this.file);
  }

  protected override readRange(buffer: Uint8Array, bufferOffset: number, position: number, length: number): void {
    this.gate.admitBytes('readBytes', position, length);
    checkBuffer('readBytes', buffer, bufferOffset, length);
    readAt(this.file, buffer, bufferOffset, length, position);
  }

  protected override writeRange(buffer: Uint8Array, bufferOffset: number, position: number, length: number): void {
    this.gate.admitBytesToWrite('writeBytes', position, length);
    checkBuffer('writeBytes', buffer, bufferOffset, length);
    writeAt(this.file, buffer, bufferOffset, length, position);
  }
}

/** The channel of a device with `mmap: true`: reads copy out of the mapping, everything else is as in `SyncFileChannel`. */
export class MappedFileChannel extends SyncFileChannel {
  readonly #mapped: MappedFile;

  constructor(file: OpenFile, onClose: () => void, mapped: MappedFile) {
    super(file, onClose);
    this.#mapped = mapped;
  }

  override read(buffer: Uint8Array, bufferOffset: number, lba: number, blockCount: number): void {
    const length = this.gate.admit('read', lba, blockCount);
    checkBuffer('read', buffer, bufferOffset, length);
    this.#copy(buffer, bufferOffset, length, lba * this.file.blockLengthBytes);
  }

  override readv(buffers: readonly Uint8Array[], lba: number, blockCount: number): void {
    const length = this.gate.admit('readv', lba, blockCount);
    checkList('readv', buffers, length);
    let position = lba * this.file.blockLengthBytes;
    for (const buffer of buffers) {
      this.#copy(buffer, 0, buffer.length, position);
      position += buffer.length;
    }
  }

  protected override readRange(buffer: Uint8Array, bufferOffset: number, position: number, length: number): void {
    this.gate.admitBytes('readBytes', position, length);
    checkBuffer('readBytes', buffer, bufferOffset, length);
    this.#copy(buffer, bufferOffset, length, position);
  }

  #copy(buffer: Uint8Array, offset: number, length: number, position: number): void {
    const done = this.#mapped.read(buffer, offset, length, position);
    if (done < length) readAt(this.file, buffer, offset + done, length - done, position + done);
  }
}

/**
 * The channel of a device with `mode: 'async'`. Its methods are async functions, so that a failed check rejects the
 * promise, too.
 */
export class AsyncFileChannel extends FileChannel implements DeviceChannel {
  async read(buffer: Uint8Array, bufferOffset: number, lba: number, blockCount: number): Promise<void> {
    const length = this.gate.admit('read', lba, blockCount);
    checkBuffer('read', buffer, bufferOffset, length);
    const position = lba * this.file.blockLengthBytes;
    await this.file.track(readAtAsync(this.file, buffer, bufferOffset, length, position));
  }

  async write(buffer: Uint8Array, bufferOffset: number, lba: number, blockCount: number): Promise<void> {
    const length = this.gate.admitWrite('write', lba, blockCount);
    checkBuffer('write', buffer, bufferOffset, length);
    const position = lba * this.file.blockLengthBytes;
    await this.file.track(writeAtAsync(this.file, buffer, bufferOffset, length, position));
  }

  async readv(buffers: readonly Uint8Array[], lba: number, blockCount: number): Promise<void> {
    const length = this.gate.admit('readv', lba, blockCount);
    checkList('readv', buffers, length);
    await this.file.track(readvAtAsync(this.file, buffers, length, lba * this.file.blockLengthBytes));
  }

  async writev(buffers: readonly Uint8Array[], lba: number, blockCount: number): Promise<void> {
    const length = this.gate.admitWrite('writev', lba, blockCount);
    checkList('writev', buffers, length);
    await this.file.track(writevAtAsync(this.file, buffers, length, lba * this.file.blockLengthBytes));
  }

  async writeZeroes(lba: number, blockCount: number): Promise<void> {
    const length = this.gate.admitWrite('writeZeroes', lba, blockCount);
    await this.file.track(zeroAtAsync(this.file, length, lba * this.file.blockLengthBytes));
  }

  async unmap(lba: number, blockCount: number): Promise<void> {
    const length = this.gate.admitWrite('unmap', lba, blockCount);
    await this.file.track(zeroAtAsync(this.file, length, lba * this.file.blockLengthBytes));
  }

  async flush(): Promise<void> {
    this.gate.checkOpen('flush');
    await this.file.track(flushFileAsync(this.file));
  }

  protected override async readRange(
    buffer: Uint8Array,
    bufferOffset: number,
    position: number,
    length: number,
  ): Promise<void> {
    this.gate.admitBytes('readBytes', position, length);
    checkBuffer('readBytes', buffer, bufferOffset, length);
    await this.file.track(readAtAsync(this.file, buffer, bufferOffset, length, position));
  }

  protected override async writeRange(
    buffer: Uint8Array,
    bufferOffset: number,
    position: number,
    length: number,
  ): Promise<void> {
    this.gate.admitBytesToWrite('writeBytes', position, length);
    checkBuffer('writeBytes', buffer, bufferOffset, length);
    await this.file.track(writeAtAsync(this.file, buffer, bufferOffset, length, position));
  }
}
