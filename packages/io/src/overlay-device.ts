/**
 * A device over another one that never changes it: what is written stays in memory, and goes with the device. For a look at a
 * store that opening would repair, and for trying out what would be done to it. It belongs to the thread that made it.
 */

import type { BlockDevice, DeviceChannel, MaybePromise } from '@blobyard/core';
import { checkBuffer, checkList, checkOpen, checkRange } from './bounds.js';
import { RangeSet } from './range-set.js';
import { scatter } from './scatter-list.js';
import { SparseMemoryDevice } from './sparse-memory-device.js';

export class OverlayDevice implements BlockDevice {
  readonly blockLengthBytes: number;
  /** As the device below had when this one was made. */
  readonly blockCount: number;
  readonly synchronous: boolean;
  readonly canCopy = false;
  readonly #base: BlockDevice;
  readonly #written: Written;
  readonly #channels = new Set<OverlayChannel>();
  #isOpen = true;

  /** @param base - only read from now on; closed with this device */
  constructor(base: BlockDevice) {
    const { blockLengthBytes, blockCount } = base;
    this.#base = base;
    this.blockLengthBytes = blockLengthBytes;
    this.blockCount = blockCount;
    this.synchronous = base.synchronous;
    const memory = new SparseMemoryDevice({ blockLengthBytes, sizeBytes: blockLengthBytes * blockCount });
    this.#written = { memory, blocks: new RangeSet() };
  }

  /** Bytes of memory that what was written takes now; zeroes take none. */
  get allocatedBytes(): number {
    return this.#written.memory.allocatedBytes;
  }

  get cacheOwner(): BlockDevice['cacheOwner'] {
    return this.#base.cacheOwner;
  }

  openChannel(): DeviceChannel {
    checkOpen('openChannel', this.#isOpen);
    const forget = () => this.#channels.delete(channel);
    const channel = new OverlayChannel(this, this.#base.openChannel(), this.#written, forget);
    this.#channels.add(channel);
    return channel;
  }

  isDegraded(): boolean {
    return this.#base.isDegraded?.() ?? false;
  }

  close(): MaybePromise<void> {
    this.#isOpen = false;
    for (const channel of this.#channels) channel.close();
    this.#written.memory.close();
    return this.#base.close();
  }
}

/** What was written: the blocks, and what is in them. */
interface Written {
  readonly blocks: RangeSet;
  readonly memory: SparseMemoryDevice;
}

class OverlayChannel implements DeviceChannel {
  readonly #device: OverlayDevice;
  readonly #below: DeviceChannel;
  readonly #blocks: RangeSet;
  readonly #above: DeviceChannel;
  readonly #onClose: () => void;
  #isOpen = true;

  constructor(device: OverlayDevice, below: DeviceChannel, written: Written, onClose: () => void) {
    this.#device = device;
    this.#below = below;
    this.#blocks = written.blocks;
    this.#above = written.memory.openChannel();
    this.#onClose = onClose;
  }

  read(buffer: Uint8Array, bufferOffset: number, lba: number, blockCount: number): MaybePromise<void> {
    return this.#answer(() => {
      checkBuffer('read', buffer, bufferOffset, this.#admit('read', lba, blockCount));
      return this.#read(buffer, bufferOffset, lba, blockCount);
    });
  }

  write(buffer: Uint8Array, bufferOffset: number, lba: number, blockCount: number): MaybePromise<void> {
    return this.#answer(() => {
      checkBuffer('write', buffer, bufferOffset, this.#admit('write', lba, blockCount));
      this.#blocks.add(lba, blockCount);
      return this.#above.write(buffer, bufferOffset, lba, blockCount);
    });
  }

  readv(buffers: readonly Uint8Array[], lba: number, blockCount: number): MaybePromise<void> {
    return this.#answer(() => {
      const lengthBytes = this.#admit('readv', lba, blockCount);
      checkList('readv', buffers, lengthBytes);
      const whole = new Uint8Array(lengthBytes);
      const handOut = () => scatter(whole, lengthBytes, buffers, 0);
      const reading = this.#read(whole, 0, lba, blockCount);
      return reading instanceof Promise ? reading.then(handOut) : handOut();
    });
  }

  writev(buffers: readonly Uint8Array[], lba: number, blockCount: number): MaybePromise<void> {
    return this.#answer(() => {
      checkList('writev', buffers, this.#admit('writev', lba, blockCount));
      this.#blocks.add(lba, blockCount);
      return this.#above.writev(buffers, lba, blockCount);
    });
  }

  writeZeroes(lba: number, blockCount: number): MaybePromise<void> {
    return this.#answer(() => this.#zero('writeZeroes', lba, blockCount));
  }

  unmap(lba: number, blockCount: number): MaybePromise<void> {
    return this.#answer(() => this.#zero('unmap', lba, blockCount));
  }

  /** There is nothing that could survive. */
  flush(): MaybePromise<void> {
    return this.#answer(() => checkOpen('flush', this.#isOpen));
  }

  close(): void {
    this.#isOpen = false;
    this.#below.close();
    this.#above.close();
    this.#onClose();
  }

  /** Reads each part from where it is. */
  #read(buffer: Uint8Array, bufferOffset: number, lba: number, blockCount: number): MaybePromise<void> {
    const { blockLengthBytes } = this.#device;
    const readings: Promise<void>[] = [];
    for (const { start, count, isInside } of this.#blocks.partsOf(lba, blockCount)) {
      const channel = isInside ? this.#above : this.#below;
      const reading = channel.read(buffer, bufferOffset + (start - lba) * blockLengthBytes, start, count);
      if (reading instanceof Promise) readings.push(reading);
    }
    return readings.length === 0 ? undefined : Promise.all(readings).then(() => undefined);
  }

  #zero(operation: string, lba: number, blockCount: number): MaybePromise<void> {
    this.#admit(operation, lba, blockCount);
    this.#blocks.add(lba, blockCount);
    return this.#above.unmap(lba, blockCount);
  }

  /** Over an asynchronous device everything is answered by a promise, refusals too. */
  #answer(operation: () => MaybePromise<void>): MaybePromise<void> {
    return this.#device.synchronous ? operation() : (async () => operation())();
  }

  /** Refuses what cannot be done; answers how many bytes it is. */
  #admit(operation: string, lba: number, blockCount: number): number {
    checkOpen(operation, this.#isOpen);
    checkRange(operation, lba, blockCount, this.#device.blockCount);
    return blockCount * this.#device.blockLengthBytes;
  }
}
