/** The state of an open file, shared by a file device, its channels and their transfers. */

import type { Stats } from 'node:fs';
import { BlobstoreError } from '@blobyard/core';
import { checkOpen } from './bounds.js';
import { cutError, transferError } from './file-errors.js';
import type { FileSystem } from './file-system.js';
import { mediumSizeBytes } from './medium-size.js';

/** What is fixed when a file is opened as a device. */
export interface OpenFileFields {
  readonly fs: FileSystem;
  readonly fd: number;
  /** For messages: the path that the user gave. The file may have been renamed since. */
  readonly path: string;
  readonly blockLengthBytes: number;
  /** Opened with O_DIRECT: buffer addresses, positions and lengths must be aligned. */
  readonly direct: boolean;
  readonly readOnly: boolean;
}

/** An open file. The object belongs to one thread. */
export class OpenFile implements OpenFileFields {
  readonly fs: FileSystem;
  readonly fd: number;
  readonly path: string;
  readonly blockLengthBytes: number;
  readonly direct: boolean;
  readonly readOnly: boolean;
  /** Blocks of the file when its size was last looked up. */
  blockCount = 0;
  /** False after the file system has shown that it does not support hole punching; zeroes are written instead. */
  punchesHoles = true;
  /** True while the file is known to be shorter than the device (truncated by somebody); see `checkLength`. */
  #isCut = false;
  #flushFailure: BlobstoreError | undefined;
  #inFlight = 0;
  #isOpen = true;
  #onIdle: (() => void) | undefined;

  constructor(fields: OpenFileFields) {
    this.fs = fields.fs;
    this.fd = fields.fd;
    this.path = fields.path;
    this.blockLengthBytes = fields.blockLengthBytes;
    this.direct = fields.direct;
    this.readOnly = fields.readOnly;
  }

  /** True if transfers may be of any range of bytes. Direct I/O takes only whole sectors. */
  get takesBytes(): boolean {
    return !this.direct;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Looks up how many blocks the file has now. Throws the system's errors. */
  lookUpSize(): void {
    const sizeBytes = mediumSizeBytes(this.fs, this.fd, this.blockLengthBytes);
    this.blockCount = Math.floor(sizeBytes / this.blockLengthBytes);
  }

  /** Throws EBADF when the file is closed, EPERM when it was opened for reading only. */
  checkWritable(operation: string): void {
    checkOpen(operation, this.#isOpen);
    if (!this.readOnly) return;
    throw new BlobstoreError(
      'EPERM',
      `${operation} to ${this.path}, which was opened with readOnly: to write, open the device without it`,
    );
  }

  /** Notes that a read reached the end of the file inside the device. */
  noteCut(): void {
    this.#isCut = true;
  }

  /**
   * Throws EIO when the file is known to be truncated, and a write up to byte `end` would extend it again: the lost
   * data would then read as zeroes, without an error. Looks the length up each time, since the file may have been
   * restored.
   */
  checkLength(operation: string, end: number): void {
    if (this.#isCut) this.requireLength(operation, end);
  }

  /** Throws EIO when the file is shorter than the device and shorter than `end` bytes. */
  requireLength(operation: string, end: number): void {
    const stats = this.#stats(operation);
    const wholeBytes = this.blockCount * this.blockLengthBytes;
    this.#isCut = stats.isFile() && stats.size < wholeBytes;
    if (this.#isCut && stats.size < end) throw cutError(this.path, operation, wholeBytes, stats.size);
  }

  #stats(operation: string): Stats {
    try {
      return this.fs.fstatSync(this.fd);
    } catch (cause) {
      throw transferError(cause, `${operation} of ${this.path}, whose size cannot be looked up`);
    }
  }

  /**
   * Throws the failure of an earlier flush. Linux reports lost writes only once. So a flush that succeeds after a
   * failed one does not mean that the data is on the medium.
   */
  checkFlushable(): void {
    if (this.#flushFailure !== undefined) throw this.#flushFailure;
  }

  /** Keeps the failure of a flush; every later flush throws it. */
  rememberFlushFailure(cause: unknown): BlobstoreError {
    const { code, message } = transferError(cause, `flush of ${this.path}`);
    this.#flushFailure ??= new BlobstoreError(
      code,
      `${message}; what was written since the flush before may be lost: close the device, and open it again`,
      { cause },
    );
    return this.#flushFailure;
  }

  /**
   * Counts an operation as in flight until it settles. `close` waits for it: if the descriptor were closed and its
   * number used again, the operation would go to another file.
   */
  async track<T>(operation: Promise<T>): Promise<T> {
    this.#inFlight++;
    try {
      return await operation;
    } finally {
      this.#inFlight--;
      if (this.#inFlight === 0) this.#onIdle?.();
    }
  }

  /** Rejects new operations, and closes the file when those in flight have ended. Call it only once. */
  close(): void | Promise<void> {
    this.#isOpen = false;
    if (this.#inFlight === 0) return this.fs.closeSync(this.fd);
    return new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    }).then(() => this.fs.closeSync(this.fd));
  }
}
