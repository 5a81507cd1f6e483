/** Devices that count what is read after a crash, and that find metadata pages written above their high-water mark. */

import { type BlockDevice, type DeviceChannel, SuperBlock } from '@blobyard/core';
import { decodeMarks } from '../../../packages/core/dist/format/marks-page.js';

const PAGE = 4096;

/** A device that passes all requests on. A subclass can replace methods of its channels. */
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
 * Records metadata pages that are written before a mark above them is on disk. The device must have blocks of 4096
 * bytes and a single user.
 */
export class TracedDevice extends Passing {
  /** The numbers of the metadata pages that were written too early. */
  readonly early: number[] = [];
  /** How often the mark was raised. */
  raised = 0;
  readonly #needsFlush: boolean;
  #written = 0;
  #durable = 0;

  /** @param needsFlush - true: a mark counts only after a flush; false: as soon as it was written */
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
    void this.device.openChannel().read(block.bytes, 0, 0, 1); // the device is synchronous
    const { metadata, clusterMask } = block;
    const region = { mdStartPage: metadata.start, mdPageCount: metadata.count };
    if (lba === clusterMask.start) {
      const mark = decodeMarks(bytes, region, this.blockCount)?.mdPages ?? Infinity; // with a mask in its place, all pages are read
      if (mark > this.#written) this.raised++;
      this.#written = mark;
      if (!this.#needsFlush) this.#durable = mark;
    }
    if (lba < metadata.start || lba >= metadata.start + metadata.count) return;
    const page = lba - metadata.start;
    if (page >= Math.min(this.#durable, this.#written)) this.early.push(page);
  }
}
