/**
 * A device with a volatile write cache, as disks have it: at a power cut, each write since the last flush may be on the
 * medium or not, independently of the others. The device records the writes, and makes the images that a power cut
 * could leave.
 */

import type { BlockDevice, DeviceChannel, MaybePromise } from '@blobyard/core';
import type { SparseMemoryDevice } from '@blobyard/io';
import { copyMedium } from './copy-medium.js';

/** The size of a metadata page, in bytes. Its writes are not torn. */
const PAGE_BYTES = 4096;

/** The bytes at the place of a write, or of another request that changes bytes, after it. */
interface Change {
  readonly lba: number;
  readonly bytes: Uint8Array;
}

/** An image that a power cut could leave. */
export interface CutImage {
  readonly name: string;
  readonly medium: SparseMemoryDevice;
  /** True if the power cut comes after the end of the operation. */
  readonly isAtEnd: boolean;
}

export class VolatileCache implements BlockDevice {
  readonly synchronous = true;
  readonly #medium: SparseMemoryDevice;
  #before: SparseMemoryDevice | undefined;
  /** The changes since the begin of the log, grouped by the flushes between them. */
  #epochs: Change[][] = [[]];

  constructor(medium: SparseMemoryDevice) {
    this.#medium = medium;
  }

  get blockLengthBytes(): number {
    return this.#medium.blockLengthBytes;
  }

  get blockCount(): number {
    return this.#medium.blockCount;
  }

  get canCopy(): boolean {
    return this.#medium.canCopy;
  }

  isZeroes(lba: number, blockCount: number): boolean {
    return this.#medium.isZeroes(lba, blockCount);
  }

  refresh(): void {
    this.#medium.refresh();
  }

  close(): MaybePromise<void> {
    return this.#medium.close();
  }

  openChannel(): DeviceChannel {
    const inner = this.#medium.openChannel();
    const noted = <A extends unknown[]>(
      change: (...args: A) => MaybePromise<void>,
      place: (...args: A) => number[],
    ) => {
      return (...args: A): void => {
        void change(...args); // the medium is synchronous
        const [lba, count] = place(...args);
        this.#note(inner, lba, count);
      };
    };
    return {
      read: (buffer, at, lba, count) => inner.read(buffer, at, lba, count),
      readv: (buffers, lba, count) => inner.readv(buffers, lba, count),
      write: noted(inner.write.bind(inner), (_buffer, _at, lba, count) => [lba, count]),
      writev: noted(inner.writev.bind(inner), (_buffers, lba, count) => [lba, count]),
      writeZeroes: noted(inner.writeZeroes.bind(inner), (lba, count) => [lba, count]),
      unmap: noted(inner.unmap.bind(inner), (lba, count) => [lba, count]),
      copy: inner.copy && noted(inner.copy.bind(inner), (target, _source, count) => [target, count]),
      flush: () => {
        this.#epochs.push([]);
      },
      close: () => inner.close(),
    };
  }

  /** Begins the log. Everything that was written before is on the medium. */
  begin(): void {
    this.#before = copyMedium(this.#medium);
    this.#epochs = [[]];
  }

  /**
   * The images that a power cut could leave between the begin of the log and now. Of the unflushed writes they have
   * none, one alone, all but one, a number of the first or of the last ones, or every other page. The write of a
   * metadata page is never torn, as the format assumes.
   */
  *images(): Generator<CutImage> {
    if (!this.#before) throw new Error('the log was not begun');
    const durable = this.#before;
    durable.resize(this.#medium.blockCount);
    for (const [index, changes] of this.#epochs.entries()) {
      const isAtEnd = index === this.#epochs.length - 1;
      for (const { name, kept } of subsets(changes, this.blockLengthBytes)) {
        const medium = copyMedium(durable);
        apply(medium, kept);
        yield { name: `after ${index} flushes, ${name}`, medium, isAtEnd };
      }
      apply(durable, changes);
    }
  }

  #note(channel: DeviceChannel, lba: number, count: number): void {
    if (!this.#before) return;
    const bytes = new Uint8Array(count * this.blockLengthBytes);
    void channel.read(bytes, 0, lba, count);
    this.#epochs[this.#epochs.length - 1].push({ lba, bytes });
  }
}

function apply(medium: SparseMemoryDevice, changes: readonly Change[]): void {
  const channel = medium.openChannel();
  for (const { lba, bytes } of changes) void channel.write(bytes, 0, lba, bytes.length / medium.blockLengthBytes);
  channel.close();
}

function* subsets(
  changes: readonly Change[],
  blockBytes: number,
): Generator<{ name: string; kept: readonly Change[] }> {
  const { length } = changes;
  yield { name: 'nothing of the cache', kept: [] };
  for (let at = 0; at < length; at++) {
    yield { name: `change ${at + 1} of ${length} alone`, kept: [changes[at]] };
    yield { name: `all but change ${at + 1} of ${length}`, kept: changes.filter((_, index) => index !== at) };
    yield { name: `the first ${at + 1} of ${length}`, kept: changes.slice(0, at + 1) };
    yield { name: `the last ${at + 1} of ${length}`, kept: changes.slice(-at - 1) };
  }
  for (const odd of [0, 1]) {
    const kept = changes.flatMap((change) => pagesOf(change, blockBytes)).filter((_, index) => index % 2 === odd);
    yield { name: `every other page, from ${odd}`, kept };
  }
}

function pagesOf({ lba, bytes }: Change, blockBytes: number): Change[] {
  return Array.from({ length: Math.ceil(bytes.length / PAGE_BYTES) }, (_, index) => ({
    lba: lba + index * (PAGE_BYTES / blockBytes),
    bytes: bytes.subarray(index * PAGE_BYTES, (index + 1) * PAGE_BYTES),
  }));
}
