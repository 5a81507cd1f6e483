/**
 * The interface of devices. A device operation either ends before it returns, and returns nothing, or returns a
 * promise. `synchronous` says which, so that the `…Sync` calls can check it before they start, and the hot path awaits
 * only real promises.
 *
 * Operations throw (or reject with) a `BlobstoreError`: EIO for a failed or out-of-range operation, EPERM for a write
 * to a read-only device, ENOTSUP for an operation that the device does not have, EBADF once the channel or the device
 * is closed.
 */

import type { MaybePromise } from '../steps/steps.js';

/**
 * Options of a request that the engine passes on to the device as they are, such as a priority or a hint. Each device
 * defines its own.
 */
export interface RequestOptions {
  readonly [name: string]: unknown;
}

/** A device: its geometry, and channels to its data. The object belongs to one thread. */
export interface BlockDevice {
  /** Bytes in a block; a power of two from 512 to 4096 for a store's own device. */
  readonly blockLengthBytes: number;
  /**
   * Blocks on the device now. It may change while the device is open (see `refresh`). If several threads open the same
   * device, each one's object must look up the current size before it fails an operation that is past the end it knows.
   */
  readonly blockCount: number;
  /** True when every channel operation finishes before it returns. */
  readonly synchronous: boolean;
  /** True when channels have `copy`. */
  readonly canCopy: boolean;
  /**
   * True when channels have `readBytes` and `writeBytes`: the device takes any range of bytes, not only whole blocks,
   * as a file does that is not opened with O_DIRECT. Absent: it takes only whole blocks.
   */
  readonly takesBytes?: boolean;
  /**
   * Identifies the cache that holds what was written and not flushed.
   * - 'process': the cache, and the device with it, ends with the process.
   * - 16 bytes: the identity of a cache that outlives the process, such as Linux's boot id for its page cache. A
   *   process that later finds the same identity finds every write that had finished.
   * - Absent: not known. When the process ends, unflushed writes may be lost, or be kept in any order.
   */
  readonly cacheOwner?: 'process' | Uint8Array;
  /** Opens a new channel, for one user of the device. Close it when done. Throws EBADF when the device is closed. */
  openChannel(): DeviceChannel;
  /** True when the device works in a degraded state (a missing mirror, a lost path). Absent: never. */
  isDegraded?(): boolean;
  /** True when the device knows, without reading, that all these blocks read as zeroes. Absent: never known. */
  isZeroes?(lba: number, blockCount: number): boolean;
  /**
   * For the device of an external snapshot that lies on the store's own device: the block there that holds block `lba`,
   * so that the store's device can copy it. Absent, or undefined: the block is not on the store's device.
   */
  translateLba?(lba: number): number | undefined;
  /** Looks up the size of the medium and updates `blockCount`. Absent: the size never changes. */
  refresh?(): MaybePromise<void>;
  /**
   * Closes the device and all its open channels, and releases its resources. Operations in flight end first. A second
   * call does nothing.
   */
  close(): MaybePromise<void>;
}

/**
 * One user's channel to a device. Positions and counts are in blocks, `bufferOffset` is in bytes. A transfer moves
 * exactly `blockCount` blocks, or fails. Operations of one channel may be in flight together, and end in any order.
 * Once an operation has ended, the device must not look at its buffers any more: their owner uses them again.
 */
export interface DeviceChannel {
  /** Reads `blockCount` blocks, starting at block `lba`, into `buffer`, starting at byte `bufferOffset`. */
  read(buffer: Uint8Array, bufferOffset: number, lba: number, blockCount: number): MaybePromise<void>;
  /** Writes `blockCount` blocks, starting at block `lba`, from `buffer`, starting at byte `bufferOffset`. */
  write(buffer: Uint8Array, bufferOffset: number, lba: number, blockCount: number): MaybePromise<void>;
  /** Reads into the buffers one after another; their lengths add up to `blockCount` blocks. */
  readv(buffers: readonly Uint8Array[], lba: number, blockCount: number, options?: RequestOptions): MaybePromise<void>;
  /** Writes from the buffers one after another; their lengths add up to `blockCount` blocks. */
  writev(buffers: readonly Uint8Array[], lba: number, blockCount: number, options?: RequestOptions): MaybePromise<void>;
  /** Makes the blocks read as zeroes. */
  writeZeroes(lba: number, blockCount: number): MaybePromise<void>;
  /** Deallocates the blocks where the medium supports it. In any case they read as zeroes afterwards. */
  unmap(lba: number, blockCount: number): MaybePromise<void>;
  /**
   * A write barrier. Once it is done, every operation that had finished before this call is on the medium and survives
   * a power cut. That includes operations of other threads that have opened the same device.
   */
  flush(): MaybePromise<void>;
  /**
   * Copies blocks within the device, without a transfer through memory. Present if `canCopy`. The ranges never overlap.
   */
  copy?(targetLba: number, sourceLba: number, blockCount: number): MaybePromise<void>;
  /**
   * Reads `length` bytes, starting at byte `position` of the device, into `buffer`, starting at byte `bufferOffset`.
   * Present if `takesBytes`. Fails as `read` does.
   */
  readBytes?(buffer: Uint8Array, bufferOffset: number, position: number, length: number): MaybePromise<void>;
  /**
   * Writes `length` bytes, starting at byte `position` of the device, from `buffer`, starting at byte `bufferOffset`.
   * Present if `takesBytes`. Fails as `write` does.
   *
   * Changes no other byte, and loses no write to other bytes, even to the same block at the same time, from any thread.
   * At a power cut, each sector of 512 bytes (or more) has all of its new bytes, or none.
   */
  writeBytes?(buffer: Uint8Array, bufferOffset: number, position: number, length: number): MaybePromise<void>;
  /** Closes the channel: later operations fail with EBADF. A second call does nothing. */
  close(): void;
}
