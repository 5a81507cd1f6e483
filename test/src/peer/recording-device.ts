/** A device that records its operations, so that a test can expect certain operations, at certain addresses. */

import type { BlockDevice, DeviceChannel, MaybePromise } from '@blobyard/core';
import type { OperationKind } from '@blobyard/io';

/** A recorded operation. For a copy, `lba` is that of the target. */
export interface Recorded {
  readonly kind: OperationKind;
  readonly lba: number;
  readonly blockCount: number;
}

export class RecordingDevice implements BlockDevice {
  /** The value of `isDegraded` that the device reports. */
  degraded = false;
  readonly #inner: BlockDevice;
  /** The operations since the last call of `take`. */
  #log: Recorded[] = [];

  constructor(inner: BlockDevice) {
    this.#inner = inner;
  }

  get blockLengthBytes(): number {
    return this.#inner.blockLengthBytes;
  }

  get blockCount(): number {
    return this.#inner.blockCount;
  }

  get synchronous(): boolean {
    return this.#inner.synchronous;
  }

  get canCopy(): boolean {
    return this.#inner.canCopy;
  }

  /** Returns the operations since the last call. */
  take(): Recorded[] {
    const log = this.#log;
    this.#log = [];
    return log;
  }

  openChannel(): DeviceChannel {
    const inner = this.#inner.openChannel();
    const note = (kind: OperationKind, lba: number, blockCount: number) => this.#log.push({ kind, lba, blockCount });
    return {
      read: (buffer, at, lba, count) => {
        note('read', lba, count);
        return inner.read(buffer, at, lba, count);
      },
      write: (buffer, at, lba, count) => {
        note('write', lba, count);
        return inner.write(buffer, at, lba, count);
      },
      readv: (buffers, lba, count) => {
        note('read', lba, count);
        return inner.readv(buffers, lba, count);
      },
      writev: (buffers, lba, count) => {
        note('write', lba, count);
        return inner.writev(buffers, lba, count);
      },
      writeZeroes: (lba, count) => {
        note('writeZeroes', lba, count);
        return inner.writeZeroes(lba, count);
      },
      unmap: (lba, count) => {
        note('unmap', lba, count);
        return inner.unmap(lba, count);
      },
      flush: () => {
        note('flush', 0, 0);
        return inner.flush();
      },
      copy: this.canCopy
        ? (target, source, count) => {
            note('copy', target, count);
            return inner.copy?.(target, source, count);
          }
        : undefined,
      close: () => inner.close(),
    };
  }

  isDegraded(): boolean {
    return this.degraded;
  }

  isZeroes(lba: number, blockCount: number): boolean {
    return this.#inner.isZeroes?.(lba, blockCount) ?? false;
  }

  close(): MaybePromise<void> {
    return this.#inner.close();
  }
}
