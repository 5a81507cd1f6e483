/** A device on existing bytes in memory, which counts its operations. */

import { BlobstoreError, type BlockDevice, type DeviceChannel } from '@blobyard/core';

/** The number of operations after which a device fails, so that an endless loop ends. */
const OPERATIONS_MAX = 100_000;

export class ImageDevice implements BlockDevice {
  readonly blockLengthBytes = 4096;
  readonly synchronous = true;
  readonly canCopy = false;
  readonly bytes: Uint8Array;
  operations = 0;
  bytesRead = 0;
  /** The number of requests that change the device. */
  writes = 0;
  /** The number of these that take effect. All later ones are lost, as after a power cut. */
  writesMax = Infinity;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get blockCount(): number {
    return this.bytes.length / this.blockLengthBytes;
  }

  openChannel(): DeviceChannel {
    return {
      read: (buffer, at, lba, count) => {
        buffer.set(this.#window(lba, count), at);
        this.bytesRead += count * this.blockLengthBytes;
      },
      write: (buffer, at, lba, count) => {
        const target = this.#window(lba, count);
        if (this.#lands()) target.set(buffer.subarray(at, at + count * this.blockLengthBytes));
      },
      readv: () => this.#refuse('readv'),
      writev: () => this.#refuse('writev'),
      writeZeroes: (lba, count) => this.#zero(lba, count),
      unmap: (lba, count) => this.#zero(lba, count),
      flush: () => this.#count(),
      close: () => undefined,
    };
  }

  close(): void {
    // the bytes are the caller's
  }

  #zero(lba: number, count: number): void {
    const target = this.#window(lba, count);
    if (this.#lands()) target.fill(0);
  }

  #lands(): boolean {
    return ++this.writes <= this.writesMax;
  }

  #window(lba: number, count: number): Uint8Array {
    this.#count();
    if (lba + count > this.blockCount)
      throw new BlobstoreError('EIO', `blocks ${lba} to ${lba + count} are past the end`);
    return this.bytes.subarray(lba * this.blockLengthBytes, (lba + count) * this.blockLengthBytes);
  }

  #count(): void {
    if (++this.operations > OPERATIONS_MAX)
      throw new Error(`more than ${OPERATIONS_MAX} operations on the device: probably an endless loop`);
  }

  #refuse(what: string): never {
    throw new Error(`${what} is not implemented by this device; no test called it before`);
  }
}
