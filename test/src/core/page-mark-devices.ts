/** Devices that see what is read after a crash, and whether metadata pages are written above their high-water mark. */

import { type BlockDevice, type DeviceChannel, SuperBlock } from '@blobyard/core';
import { decodeMarks } from '../../../packages/core/dist/format/marks-page.js';

const PAGE = 4096;

/** Passes everything on, and lets a subclass replace some methods of its channels. */
class Passing implements BlockDevice {
  readonly synchronous = true;
  protected readonly device: BlockDevice;

  constructor(device: BlockDevice) {
    this.device = device;
  }

  get blockLengthBytes(): number {
    return this.device.blockLengthBytes;
  }
  get blockCount(): number {
    return this.device.blockCount;
  }
  get canCopy(): boolean {
    return this.device.canCopy;
  }
  get cacheOwner(): BlockDevice['cacheOwner'] {
    return this.device.cacheOwner;
  }
  isZeroes(lba: number, count: number): boolean {
    return this.device.isZeroes?.(lba, count) ?? false;
  }
  openChannel(): DeviceChannel {
    return this.device.openChannel();
  }
  close(): void {
    // the test closes the device
  }
}

/** Counts the blocks of 4096 bytes that are read. */
export class CountingDevice extends Passing {
  #bytesRead = 0;

  get blocksRead(): number {
    return this.#bytesRead / PAGE;
  }

  override openChannel(): DeviceChannel {
    const channel = this.device.openChannel();
    const { read } = channel;
    return Object.assign(channel, {
      read: (buffer: Uint8Array, offset: number, lba: number, count: number) => {
        this.#bytesRead += count * this.blockLengthBytes;
        return read.call(channel, buffer, offset, lba, count);
      },
    });
  }
}

/**
 * Notes metadata pages that are written before a mark above them is on disk. The device has blocks of 4096 bytes, and
 * one user.
 */
export class TracedDevice extends Passing {
  /** The pages that were written too early. */
  readonly early: number[] = [];
  /** How often the mark was raised. */
  raised = 0;
  readonly #needsFlush: boolean;
  #written = 0;
  #durable = 0;

  /** @param needsFlush - a mark counts once it was flushed */
  constructor(device: BlockDevice, needsFlush: boolean) {
    super(device);
    this.#needsFlush = needsFlush;
  }

  override openChannel(): DeviceChannel {
    const channel = this.device.openChannel();
    const { write, flush } = channel;
    return Object.assign(channel, {
      write: (buffer: Uint8Array, offset: number, lba: number, count: number) => {
        this.#look(buffer.subarray(offset, offset + count * PAGE), lba);
        return write.call(channel, buffer, offset, lba, count);
      },
      flush: () => {
        this.#durable = this.#written;
        return flush.call(channel);
      },
    });
  }

  #look(bytes: Uint8Array, lba: number): void {
    const block = new SuperBlock(new Uint8Array(PAGE));
    void this.device.openChannel().read(block.bytes, 0, 0, 1); // it is synchronous
    const { metadata, clusterMask } = block;
    const region = { mdStartPage: metadata.start, mdPageCount: metadata.count };
    if (lba === clusterMask.start) {
      const mark = decodeMarks(bytes, region, this.blockCount)?.mdPages ?? Infinity; // a mask hides nothing
      if (mark > this.#written) this.raised++;
      this.#written = mark;
      if (!this.#needsFlush) this.#durable = mark;
    }
    if (lba < metadata.start || lba >= metadata.start + metadata.count) return;
    const page = lba - metadata.start;
    if (page >= Math.min(this.#durable, this.#written)) this.early.push(page);
  }
}
