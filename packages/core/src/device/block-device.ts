/**
 * What the engine asks of a device. A device answers at once (returns nothing) or later (returns a promise); it says which by
 * `synchronous`, so that the `…Sync` calls know before they start, and the hot path awaits only a real promise.
 *
 * Failures are thrown (or rejected) as `BlobstoreError`: EIO for a failed or out-of-range operation, EPERM for a write to a
 * read-only device, ENOTSUP for an operation that the device does not have.
 */

import type { MaybePromise } from '../steps/steps.js';

/** What a user hands to the device with a request, as it is: a priority, a hint, whatever that device understands. */
export interface RequestOptions {
  readonly [name: string]: unknown;
}

/** A device: its geometry, and a channel for each thread or user of it. */
export interface BlockDevice {
  /** Bytes in a block; a power of two from 512 to 4096 for a store's own device. */
  readonly blockLengthBytes: number;
  /**
   * Blocks on the device now; it may change while the device is open (see `refresh`). A device that several threads open, each for
   * itself, must not fail an operation past the end that it knows of before it has looked its size up again.
   */
  readonly blockCount: number;
  /** True when every channel operation finishes before it returns. */
  readonly synchronous: boolean;
  /** True when channels have `copy`. */
  readonly canCopy: boolean;
  /**
   * Who has what was written and not flushed. 'process': it ends with the process, and so does the device. 16 bytes: somebody else,
   * of whom they are the identity, as Linux's boot id is of its page cache; a process that meets the same one later finds every
   * write that had finished. Absent: not known; then a process that ends may lose what was not flushed, or its order.
   */
  readonly cacheOwner?: 'process' | Uint8Array;
  /** A channel of its own for one user of the device; close it when done. */
  openChannel(): DeviceChannel;
  /** True when the device works, but not as it should (a missing mirror, a lost path). Absent: never. */
  isDegraded?(): boolean;
  /** True when the device knows, without reading, that all these blocks read as zeroes. Absent: never known. */
  isZeroes?(lba: number, blockCount: number): boolean;
  /**
   * For an external snapshot: where a block of it lies on the store's own device, if it does, so that the store's device can
   * copy it. Absent, or undefined: it lies elsewhere.
   */
  translateLba?(lba: number): number | undefined;
  /** Looks the size of the medium up again, and from then on says it in `blockCount`. Absent: the size never changes. */
  refresh?(): MaybePromise<void>;
  /** Gives everything back. Channels still open are closed with it. */
  close(): MaybePromise<void>;
}

/**
 * One user's way to a device. Positions and counts are in blocks. A transfer moves exactly `blockCount` blocks or fails.
 * Operations on one channel may be in flight together, and then finish in any order.
 */
export interface DeviceChannel {
  /** Reads `blockCount` blocks from `lba` on into `buffer`, from byte `bufferOffset` on. */
  read(buffer: Uint8Array, bufferOffset: number, lba: number, blockCount: number): MaybePromise<void>;
  /** Writes `blockCount` blocks to `lba` on, from byte `bufferOffset` of `buffer` on. */
  write(buffer: Uint8Array, bufferOffset: number, lba: number, blockCount: number): MaybePromise<void>;
  /** Reads into the buffers one after another; their lengths add up to `blockCount` blocks. */
  readv(buffers: readonly Uint8Array[], lba: number, blockCount: number, options?: RequestOptions): MaybePromise<void>;
  /** Writes from the buffers one after another; their lengths add up to `blockCount` blocks. */
  writev(buffers: readonly Uint8Array[], lba: number, blockCount: number, options?: RequestOptions): MaybePromise<void>;
  /** Makes the blocks read as zeroes. */
  writeZeroes(lba: number, blockCount: number): MaybePromise<void>;
  /** Gives the blocks back to the medium where it can take them; in any case they read as zeroes afterwards. */
  unmap(lba: number, blockCount: number): MaybePromise<void>;
  /**
   * What finished before this call, also on other threads that have opened the same device, is on the medium, and survives a power
   * cut, once this is done.
   */
  flush(): MaybePromise<void>;
  /** Copies blocks within the device, without their passing through memory. Only where `canCopy`; ranges never overlap. */
  copy?(targetLba: number, sourceLba: number, blockCount: number): MaybePromise<void>;
  close(): void;
}
