/**
 * A copy-on-write device: writes stay in memory, are lost when it is closed, and never change the device below. It
 * serves to look at a store that opening would recover, and to try out a repair. Only the thread that made it can use
 * it.
 */

import type { BlockDevice, DeviceChannel, MaybePromise } from '@blobyard/core';
import { checkBuffer, checkByteRange, checkList, checkOpen, checkRange } from './bounds.js';
import { RangeSet } from './range-set.js';
import { scatter } from './scatter-list.js';
import { SparseMemoryDevice } from './sparse-memory-device.js';

/** A copy-on-write device over another one, which it only reads. Only the thread that made it can use it. */
export class OverlayDevice implements BlockDevice {
  readonly blockLengthBytes: number;
  /** The block count of the device below when this one was made. */
  readonly blockCount: number;
  readonly synchronous: boolean;
  readonly canCopy = false;
  /** True if the device below takes any bytes and is synchronous: then a write of bytes needs no lock of its blocks. */
  readonly takesBytes: boolean;
  /** The device below. */
  readonly base: BlockDevice;
  readonly #written: Written;
  readonly #channels = new Set<OverlayChannel>();
  #isOpen = true;

  /** @param base - the device below; this device only reads it, and closes it in `close` */
  constructor(base: BlockDevice) {
    const { blockLengthBytes, blockCount } = base;
    this.base = base;
    this.blockLengthBytes = blockLengthBytes;
    this.blockCount = blockCount;
    this.synchronous = base.synchronous;
    this.takesBytes = base.synchronous && base.takesBytes === true;
    const memory = new SparseMemoryDevice({ blockLengthBytes, sizeBytes: blockLengthBytes * blockCount });
    this.#written = { memory, blocks: new RangeSet() };
  }

  /** Bytes of memory that the written blocks take now. Blocks that were zeroed take none. */
  get allocatedBytes(): number {
    return this.#written.memory.allocatedBytes;
  }

  get cacheOwner(): BlockDevice['cacheOwner'] {
    return this.base.cacheOwner;
  }

  openChannel(): DeviceChannel {
    checkOpen('openChannel', this.#isOpen);
    const forget = () => this.#channels.delete(channel);
    const channel = new OverlayChannel(this, this.base.openChannel(), this.#written, forget);
    this.#channels.add(channel);
    return channel;
  }

  isDegraded(): boolean {
    return this.base.isDegraded?.() ?? false;
  }

  close(): MaybePromise<void> {
    this.#isOpen = false;
    for (const channel of this.#channels) channel.close();
    this.#written.memory.close();
    return this.base.close();
  }
}

/** The written blocks: which they are, and their contents. */
interface Written {
  readonly blocks: RangeSet;
  readonly memory: SparseMemoryDevice;
}

class OverlayChannel implements DeviceChannel {
  readonly readBytes?: DeviceChannel['readBytes'];
  readonly writeBytes?: DeviceChannel['writeBytes'];
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
    if (!device.takesBytes) return;
    this.readBytes = (buffer, bufferOffset, position, length) => {
      this.#bytes('readBytes', buffer, bufferOffset, position, length);
    };
    this.writeBytes = (buffer, bufferOffset, position, length) => {
      this.#bytes('writeBytes', buffer, bufferOffset, position, length);
    };
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

  /** Does nothing: the written blocks are lost when the device is closed. */
  flush(): MaybePromise<void> {
    return this.#answer(() => checkOpen('flush', this.#isOpen));
  }

  close(): void {
    this.#isOpen = false;
    this.#below.close();
    this.#above.close();
    this.#onClose();
  }

  /** Reads each part from where its current contents are: memory, or the device below. */
  #read(buffer: Uint8Array, bufferOffset: number, lba: number, blockCount: number): MaybePromise<void> {
    const { blockLengthBytes } = this.#device;
    if (this.#blocks.isDisjoint(lba, blockCount)) return this.#below.read(buffer, bufferOffset, lba, blockCount);
    const readings: Promise<void>[] = [];
    for (const { start, count, isInside } of this.#blocks.partsOf(lba, blockCount)) {
      const channel = isInside ? this.#above : this.#below;
      const reading = channel.read(buffer, bufferOffset + (start - lba) * blockLengthBytes, start, count);
      if (reading instanceof Promise) readings.push(reading);
    }
    return readings.length === 0 ? undefined : Promise.all(readings).then(() => undefined);
  }

  /** Moves bytes in the blocks around them; bytes of blocks that were not written come straight from below. */
  #bytes(
    operation: 'readBytes' | 'writeBytes',
    buffer: Uint8Array,
    bufferOffset: number,
    position: number,
    length: number,
  ): void {
    const { blockLengthBytes, blockCount } = this.#device;
    checkOpen(operation, this.#isOpen);
    checkByteRange(operation, position, length, blockCount * blockLengthBytes);
    checkBuffer(operation, buffer, bufferOffset, length);
    const first = Math.floor(position / blockLengthBytes);
    const count = Math.ceil((position + length) / blockLengthBytes) - first;
    if (count === 0) return;
    if (operation === 'readBytes' && this.#blocks.isDisjoint(first, count)) {
      void this.#below.readBytes?.(buffer, bufferOffset, position, length);
      return;
    }
    const whole = new Uint8Array(count * blockLengthBytes);
    const within = position - first * blockLengthBytes;
    const given = buffer.subarray(bufferOffset, bufferOffset + length);
    void this.#read(whole, 0, first, count); // ended already: the device is synchronous
    if (operation === 'readBytes') {
      given.set(whole.subarray(within, within + length));
    } else {
      whole.set(given, within);
      void this.write(whole, 0, first, count);
    }
  }

  #zero(operation: string, lba: number, blockCount: number): MaybePromise<void> {
    this.#admit(operation, lba, blockCount);
    this.#blocks.add(lba, blockCount);
    return this.#above.unmap(lba, blockCount);
  }

  /** Over an asynchronous device, every operation returns a promise, and failed checks reject it. */
  #answer(operation: () => MaybePromise<void>): MaybePromise<void> {
    return this.#device.synchronous ? operation() : (async () => operation())();
  }

  /** Checks a transfer, and returns its length in bytes. Throws EBADF, EIO or EINVAL. */
  #admit(operation: string, lba: number, blockCount: number): number {
    checkOpen(operation, this.#isOpen);
    checkRange(operation, lba, blockCount, this.#device.blockCount);
    return blockCount * this.#device.blockLengthBytes;
  }
}
