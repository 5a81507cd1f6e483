/** A device that counts what it is asked for, and can fail. */

import { BlobstoreError } from 'blobyard';
import type { BlockDevice, DeviceChannel } from 'blobyard/devices';

export interface CountingOptions {
  /** A flush answers by a promise, in a later turn of the event loop. */
  readonly isLater?: boolean;
}

export class CountingDevice implements BlockDevice {
  readonly canCopy = false;
  readonly synchronous: boolean;
  /** Writes fail with EIO. */
  failsWrites = false;
  /** Counts since the last `take`. */
  #counts = { writes: 0, flushes: 0 };
  readonly #device: BlockDevice;
  readonly #isLater: boolean;

  /** @param device - a device whose requests are counted; of its abilities only reads, writes and flushes are passed on */
  constructor(device: BlockDevice, { isLater = false }: CountingOptions = {}) {
    this.#device = device;
    this.#isLater = isLater;
    this.synchronous = device.synchronous && !isLater;
  }

  get blockLengthBytes(): number {
    return this.#device.blockLengthBytes;
  }

  get blockCount(): number {
    return this.#device.blockCount;
  }

  /** The counts until now, which begin anew. `writes` includes zeroes that are written. */
  take(): { writes: number; flushes: number } {
    const counts = this.#counts;
    this.#counts = { writes: 0, flushes: 0 };
    return counts;
  }

  openChannel(): DeviceChannel {
    const channel = this.#device.openChannel();
    const writing = <T>(operation: () => T): T => {
      this.#counts.writes++;
      if (this.failsWrites) throw new BlobstoreError('EIO', 'the test wants this write to fail');
      return operation();
    };
    return {
      read: (...args) => channel.read(...args),
      readv: (...args) => channel.readv(...args),
      write: (...args) => writing(() => channel.write(...args)),
      writev: (...args) => writing(() => channel.writev(...args)),
      writeZeroes: (...args) => writing(() => channel.writeZeroes(...args)),
      unmap: (...args) => channel.unmap(...args),
      flush: () => {
        this.#counts.flushes++;
        return this.#isLater ? new Promise((resolve) => setImmediate(resolve)) : channel.flush();
      },
      close: () => channel.close(),
    };
  }

  close() {
    return this.#device.close();
  }
}
