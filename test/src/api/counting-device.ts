/** A device that counts writes and flushes, and whose writes can be made to fail. */

import { BlobstoreError } from 'blobyard';
import type { BlockDevice, DeviceChannel } from 'blobyard/devices';

export interface CountingOptions {
  /** True: a flush returns a promise, which resolves in a later turn of the event loop. */
  readonly isLater?: boolean;
}

export class CountingDevice implements BlockDevice {
  readonly canCopy = false;
  readonly synchronous: boolean;
  /** True: writes fail with EIO. */
  failsWrites = false;
  /** Counts since the last `take`. */
  #counts = { writes: 0, flushes: 0 };
  readonly #device: BlockDevice;
  readonly #isLater: boolean;

  /**
   * @param device - gets the requests; of its optional methods none is passed on but those for reads, writes and
   * flushes
   */
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

  /** Returns the counts since the last call, and sets them to 0. `writes` includes writes of zeroes. */
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
