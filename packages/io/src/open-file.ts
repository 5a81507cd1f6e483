/** An open file and what is known about it: shared by a file device, its channels and the transfers they make. */

import type { Stats } from 'node:fs';
import { BlobstoreError } from '@blobyard/core';
import { checkOpen } from './bounds.js';
import { cutError, transferError } from './file-errors.js';
import type { FileSystem } from './file-system.js';
import { mediumSizeBytes } from './medium-size.js';

export interface OpenFileFields {
  readonly fs: FileSystem;
  readonly fd: number;
  /** For messages: as its user has named it; the file may have been renamed since. */
  readonly path: string;
  readonly blockLengthBytes: number;
  /** Opened with O_DIRECT: addresses, positions and lengths must be aligned. */
  readonly direct: boolean;
  readonly readOnly: boolean;
}

export class OpenFile implements OpenFileFields {
  readonly fs: FileSystem;
  readonly fd: number;
  readonly path: string;
  readonly blockLengthBytes: number;
  readonly direct: boolean;
  readonly readOnly: boolean;
  /** Blocks of the file when its size was last looked up. */
  blockCount = 0;
  /** False once the file system has refused to punch a hole; from then on zeroes are written. */
  punchesHoles = true;
  /** True once a read or a flush has found the file shorter than the device; see `checkLength`. */
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

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Looks up how many blocks the file has now. Throws the system's errors. */
  lookUpSize(): void {
    const sizeBytes = mediumSizeBytes(this.fs, this.fd, this.blockLengthBytes);
    this.blockCount = Math.floor(sizeBytes / this.blockLengthBytes);
  }

  /** Throws EBADF when closed, EPERM when the file may not be written. */
  checkWritable(operation: string): void {
    checkOpen(operation, this.#isOpen);
    if (!this.readOnly) return;
    throw new BlobstoreError('EPERM', `${operation} to ${this.path}, which was opened with readOnly`);
  }

  /** A read has met the end of the file inside the device. */
  noteCut(): void {
    this.#isCut = true;
  }

  /**
   * Throws EIO when the file is known to be cut, and a write up to byte `end` would make it longer again: what was cut off would
   * then read as zeroes, and nobody be told. Looks again each time, since the file may have its length back.
   */
  checkLength(operation: string, end: number): void {
    if (this.#isCut) this.requireLength(operation, end);
  }

  /** Throws EIO when the file is shorter than the device, and than `end` bytes. */
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
   * Throws the failure of an earlier flush. Linux reports lost writes once, and forgets them; so a flush that succeeds
   * after one that failed does not mean that the data is on the medium.
   */
  checkFlushable(): void {
    if (this.#flushFailure !== undefined) throw this.#flushFailure;
  }

  /** Keeps a flush's failure, for every flush to come. */
  rememberFlushFailure(cause: unknown): BlobstoreError {
    const { code, message } = transferError(cause, `flush of ${this.path}`);
    this.#flushFailure ??= new BlobstoreError(code, `${message}; what was written may be lost, reopen the device`, {
      cause,
    });
    return this.#flushFailure;
  }

  /**
   * Counts an operation as under way until it settles: the descriptor must not be closed under it, and its number used
   * again.
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

  /** Refuses new operations, and closes the file once those under way have ended. Call it once. */
  close(): void | Promise<void> {
    this.#isOpen = false;
    if (this.#inFlight === 0) return this.fs.closeSync(this.fd);
    return new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    }).then(() => this.fs.closeSync(this.fd));
  }
}
