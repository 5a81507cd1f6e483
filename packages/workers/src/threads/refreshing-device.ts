/**
 * A device that may have grown while another thread looked: each thread opens a file for itself, and knows its size from then.
 * An operation past the end that this thread knows of looks the size up again before it is tried.
 */

import type { BlockDevice, DeviceChannel, MaybePromise, RequestOptions } from '@blobyard/core';
import { MemoryDevice } from '@blobyard/io';

/** The device, so that it follows the growth of its medium; as it is, if it does that by itself. */
export function refreshing(device: BlockDevice): BlockDevice {
  return device.refresh === undefined || device instanceof MemoryDevice ? device : new RefreshingDevice(device);
}

class RefreshingDevice implements BlockDevice {
  readonly blockLengthBytes: number;
  readonly synchronous: boolean;
  readonly canCopy: boolean;
  readonly #inner: BlockDevice;

  constructor(inner: BlockDevice) {
    this.#inner = inner;
    this.blockLengthBytes = inner.blockLengthBytes;
    this.synchronous = inner.synchronous;
    this.canCopy = inner.canCopy;
  }

  get blockCount(): number {
    return this.#inner.blockCount;
  }

  openChannel(): DeviceChannel {
    const channel = this.#inner.openChannel();
    return channel.copy ? new RefreshingCopyChannel(this.#inner, channel) : new RefreshingChannel(this.#inner, channel);
  }

  isDegraded(): boolean {
    return this.#inner.isDegraded?.() ?? false;
  }

  isZeroes(lba: number, blockCount: number): boolean {
    return this.#inner.isZeroes?.(lba, blockCount) ?? false;
  }

  refresh(): MaybePromise<void> {
    return this.#inner.refresh?.();
  }

  close(): MaybePromise<void> {
    return this.#inner.close();
  }
}

class RefreshingChannel implements DeviceChannel {
  protected readonly inner: DeviceChannel;
  readonly #device: BlockDevice;
  /** As it was last looked up. */
  #blockCount: number;

  constructor(device: BlockDevice, inner: DeviceChannel) {
    this.#device = device;
    this.#blockCount = device.blockCount;
    this.inner = inner;
  }

  read(buffer: Uint8Array, bufferOffset: number, lba: number, blockCount: number): MaybePromise<void> {
    if (lba + blockCount <= this.#blockCount) return this.inner.read(buffer, bufferOffset, lba, blockCount);
    return this.refreshed(() => this.inner.read(buffer, bufferOffset, lba, blockCount));
  }

  write(buffer: Uint8Array, bufferOffset: number, lba: number, blockCount: number): MaybePromise<void> {
    if (lba + blockCount <= this.#blockCount) return this.inner.write(buffer, bufferOffset, lba, blockCount);
    return this.refreshed(() => this.inner.write(buffer, bufferOffset, lba, blockCount));
  }

  readv(buffers: readonly Uint8Array[], lba: number, blockCount: number, options?: RequestOptions): MaybePromise<void> {
    if (lba + blockCount <= this.#blockCount) return this.inner.readv(buffers, lba, blockCount, options);
    return this.refreshed(() => this.inner.readv(buffers, lba, blockCount, options));
  }

  writev(
    buffers: readonly Uint8Array[],
    lba: number,
    blockCount: number,
    options?: RequestOptions,
  ): MaybePromise<void> {
    if (lba + blockCount <= this.#blockCount) return this.inner.writev(buffers, lba, blockCount, options);
    return this.refreshed(() => this.inner.writev(buffers, lba, blockCount, options));
  }

  writeZeroes(lba: number, blockCount: number): MaybePromise<void> {
    if (lba + blockCount <= this.#blockCount) return this.inner.writeZeroes(lba, blockCount);
    return this.refreshed(() => this.inner.writeZeroes(lba, blockCount));
  }

  unmap(lba: number, blockCount: number): MaybePromise<void> {
    if (lba + blockCount <= this.#blockCount) return this.inner.unmap(lba, blockCount);
    return this.refreshed(() => this.inner.unmap(lba, blockCount));
  }

  flush(): MaybePromise<void> {
    return this.inner.flush();
  }

  close(): void {
    this.inner.close();
  }

  /** Looks the size up, then does it; the device says whether it is past the end still. */
  protected refreshed(operation: () => MaybePromise<void>): MaybePromise<void> {
    const goOn = () => {
      this.#blockCount = this.#device.blockCount;
      return operation();
    };
    const looking = this.#device.refresh?.();
    return looking instanceof Promise ? looking.then(goOn) : goOn();
  }
}

class RefreshingCopyChannel extends RefreshingChannel {
  copy(targetLba: number, sourceLba: number, blockCount: number): MaybePromise<void> {
    return this.refreshed(() => this.inner.copy?.(targetLba, sourceLba, blockCount));
  }
}
