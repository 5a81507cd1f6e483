/**
 * A device of any size that allocates memory only for chunks that were written. It simulates disks of many terabytes,
 * and devices that are larger than one shared memory. Only the thread that made it can use it.
 */

import type { DeviceChannel } from '@blobyard/core';
import {
  checkAnyObject,
  checkBoolean,
  checkBytes,
  checkInteger,
  checkMultiple,
  invalid,
} from '@blobyard/core/internal/argument-checks';
import { checkBuffer, checkByteRange, checkCopy, checkList, checkOpen, checkRange } from './bounds.js';
import { copyBytes } from './copy-bytes.js';
import type { ResizableDevice } from './resizable-device.js';

/** Options for a sparse memory device. */
export interface SparseMemoryDeviceOptions {
  /** Size in bytes: a multiple of the block length, up to 2^53 - 1. */
  readonly sizeBytes: number;
  /** Bytes in a block, 1 to 65536; a store accepts only powers of two from 512 to 4096. Default: 4096. */
  readonly blockLengthBytes?: number;
  /** Whether channels have `copy`. Default: true. */
  readonly canCopy?: boolean;
}

const DEFAULT_BLOCK_LENGTH_BYTES = 4096;
const BLOCK_LENGTH_BYTES_MAX = 65536;
const CHUNK_BYTES = 65536;
/** The largest device of which `bytes` returns a copy. */
const IMAGE_BYTES_MAX = 2 ** 31;

/** A synchronous device of any size in the memory of one thread, which alone can use it. */
export class SparseMemoryDevice implements ResizableDevice {
  readonly blockLengthBytes: number;
  readonly synchronous = true;
  readonly canCopy: boolean;
  readonly takesBytes = true;
  readonly cacheOwner = 'process';
  readonly #chunks = new ChunkMap();
  readonly #channels = new Set<SparseChannel>();
  #blockCount: number;
  #isOpen = true;

  /** Creates a device of zeroes. Throws EINVAL for invalid options. */
  constructor(options: SparseMemoryDeviceOptions) {
    const given = checkAnyObject('a sparse memory device', options) as unknown as SparseMemoryDeviceOptions;
    const { sizeBytes, blockLengthBytes = DEFAULT_BLOCK_LENGTH_BYTES } = given;
    checkInteger('blockLengthBytes', blockLengthBytes, 1, BLOCK_LENGTH_BYTES_MAX);
    checkMultiple('sizeBytes', sizeBytes, blockLengthBytes, Number.MAX_SAFE_INTEGER);
    this.canCopy = checkBoolean('canCopy', given.canCopy, true);
    this.blockLengthBytes = blockLengthBytes;
    this.#blockCount = sizeBytes / blockLengthBytes;
  }

  /** Creates a device with a copy of `image`, which must be whole blocks. Throws EINVAL for invalid options. */
  static fromBytes(image: Uint8Array, options: Omit<SparseMemoryDeviceOptions, 'sizeBytes'> = {}): SparseMemoryDevice {
    checkBytes('the image', image);
    const given = checkAnyObject('a sparse memory device', options);
    const device = new SparseMemoryDevice({ ...given, sizeBytes: image.byteLength });
    device.#chunks.write(0, image, 0, image.byteLength);
    return device;
  }

  get blockCount(): number {
    return this.#blockCount;
  }

  /** Bytes of memory that the contents take now, a multiple of 64 KiB. */
  get allocatedBytes(): number {
    return this.#chunks.size * CHUNK_BYTES;
  }

  openChannel(): DeviceChannel {
    checkOpen('openChannel', this.#isOpen);
    const channel = new SparseChannel(this, this.#chunks, () => this.#channels.delete(channel));
    this.#channels.add(channel);
    return channel;
  }

  /**
   * True when no chunk of these blocks is allocated, so that they read as zeroes. False when one is allocated, even if
   * it holds only zeroes. Throws EIO for a range that is not on the device, EINVAL for invalid numbers.
   */
  isZeroes(lba: number, blockCount: number): boolean {
    checkRange('isZeroes', lba, blockCount, this.#blockCount);
    return this.#chunks.isEmpty(lba * this.blockLengthBytes, blockCount * this.blockLengthBytes);
  }

  /** The device's bytes in order, for hashing: views of up to 64 KiB, valid until the next write to the device. */
  *chunks(): Generator<Uint8Array, void, undefined> {
    const sizeBytes = this.#blockCount * this.blockLengthBytes;
    const zeroes = new Uint8Array(CHUNK_BYTES);
    for (let position = 0; position < sizeBytes; position += CHUNK_BYTES) {
      const chunk = this.#chunks.at(position) ?? zeroes;
      yield chunk.subarray(0, Math.min(CHUNK_BYTES, sizeBytes - position));
    }
  }

  /** A copy of the device's bytes. Throws EINVAL above 2 GiB; use `chunks` there. */
  bytes(): Uint8Array {
    const sizeBytes = this.#blockCount * this.blockLengthBytes;
    if (sizeBytes > IMAGE_BYTES_MAX) throw invalid('the size of the image', sizeBytes, '2 GiB or less; use chunks()');
    const image = new Uint8Array(sizeBytes);
    this.#chunks.read(0, image, 0, sizeBytes);
    return image;
  }

  resize(blockCount: number): void {
    checkOpen('resize', this.#isOpen);
    const blocksMax = Math.floor(Number.MAX_SAFE_INTEGER / this.blockLengthBytes);
    checkInteger('the new block count', blockCount, 0, blocksMax);
    const lost = this.#blockCount - blockCount;
    if (lost > 0) this.#chunks.zero(blockCount * this.blockLengthBytes, lost * this.blockLengthBytes);
    this.#blockCount = blockCount;
  }

  /** Does nothing: `blockCount` is always current. Throws EBADF on a closed device. */
  refresh(): void {
    checkOpen('refresh', this.#isOpen);
  }

  /** Closes the device. `bytes` and `chunks` still work. */
  close(): void {
    this.#isOpen = false;
    for (const channel of this.#channels) channel.close();
  }
}

/** The written bytes, by chunk; all others are zero. Positions and lengths are in bytes, and are not checked. */
class ChunkMap {
  readonly #chunks = new Map<number, Uint8Array>();

  /** The number of allocated chunks. */
  get size(): number {
    return this.#chunks.size;
  }

  /** The chunk that begins at a position, if it is allocated. */
  at(position: number): Uint8Array | undefined {
    return this.#chunks.get(position / CHUNK_BYTES);
  }

  read(position: number, buffer: Uint8Array, bufferOffset: number, lengthBytes: number): void {
    for (let done = 0; done < lengthBytes; ) {
      const { index, offset, length } = pieceAt(position + done, lengthBytes - done);
      const chunk = this.#chunks.get(index);
      const target = bufferOffset + done;
      if (chunk === undefined) buffer.fill(0, target, target + length);
      else copyBytes(chunk, offset, buffer, target, length);
      done += length;
    }
  }

  write(position: number, buffer: Uint8Array, bufferOffset: number, lengthBytes: number): void {
    for (let done = 0; done < lengthBytes; ) {
      const { index, offset, length } = pieceAt(position + done, lengthBytes - done);
      let chunk = this.#chunks.get(index);
      if (chunk === undefined) {
        chunk = new Uint8Array(CHUNK_BYTES);
        this.#chunks.set(index, chunk);
      }
      copyBytes(buffer, bufferOffset + done, chunk, offset, length);
      done += length;
    }
  }

  /** Frees the chunks that lie entirely in the range, and zeroes the parts of the others. */
  zero(position: number, lengthBytes: number): void {
    const end = position + lengthBytes;
    for (const index of this.#presentIn(position, end)) {
      const first = Math.max(position - index * CHUNK_BYTES, 0);
      const last = Math.min(end - index * CHUNK_BYTES, CHUNK_BYTES);
      if (first === 0 && last === CHUNK_BYTES) this.#chunks.delete(index);
      else this.#chunks.get(index)?.fill(0, first, last);
    }
  }

  /** True when no chunk of the range is allocated. */
  isEmpty(position: number, lengthBytes: number): boolean {
    return this.#presentIn(position, position + lengthBytes).next().done === true;
  }

  /** Copies a range to another that it does not overlap. Does not allocate chunks for parts that are not allocated. */
  copy(target: number, source: number, lengthBytes: number): void {
    for (let done = 0; done < lengthBytes; ) {
      const { index, offset, length } = pieceAt(source + done, lengthBytes - done);
      const chunk = this.#chunks.get(index);
      if (chunk === undefined) this.zero(target + done, length);
      else this.write(target + done, chunk, offset, length);
      done += length;
    }
  }

  /** The indices of the allocated chunks that touch the range. Visits the range or all chunks, whichever is fewer. */
  *#presentIn(position: number, end: number): Generator<number, void, undefined> {
    if (end === position) return;
    const first = Math.floor(position / CHUNK_BYTES);
    const last = Math.floor((end - 1) / CHUNK_BYTES);
    if (last - first < this.#chunks.size) {
      for (let index = first; index <= last; index++) if (this.#chunks.has(index)) yield index;
    } else {
      for (const index of this.#chunks.keys()) if (index >= first && index <= last) yield index;
    }
  }
}

/** The first part of a range that lies in one chunk. */
function pieceAt(position: number, lengthBytes: number): { index: number; offset: number; length: number } {
  const index = Math.floor(position / CHUNK_BYTES);
  const offset = position - index * CHUNK_BYTES;
  return { index, offset, length: Math.min(CHUNK_BYTES - offset, lengthBytes) };
}

class SparseChannel implements DeviceChannel {
  readonly copy?: (targetLba: number, sourceLba: number, blockCount: number) => void;
  readonly #device: SparseMemoryDevice;
  readonly #chunks: ChunkMap;
  readonly #onClose: () => void;
  #isOpen = true;

  constructor(device: SparseMemoryDevice, chunks: ChunkMap, onClose: () => void) {
    this.#device = device;
    this.#chunks = chunks;
    this.#onClose = onClose;
    if (device.canCopy) this.copy = (target, source, count) => this.#copy(target, source, count);
  }

  read(buffer: Uint8Array, bufferOffset: number, lba: number, blockCount: number): void {
    const lengthBytes = this.#admit('read', lba, blockCount);
    checkBuffer('read', buffer, bufferOffset, lengthBytes);
    this.#chunks.read(lba * this.#device.blockLengthBytes, buffer, bufferOffset, lengthBytes);
  }

  write(buffer: Uint8Array, bufferOffset: number, lba: number, blockCount: number): void {
    const lengthBytes = this.#admit('write', lba, blockCount);
    checkBuffer('write', buffer, bufferOffset, lengthBytes);
    this.#chunks.write(lba * this.#device.blockLengthBytes, buffer, bufferOffset, lengthBytes);
  }

  readv(buffers: readonly Uint8Array[], lba: number, blockCount: number): void {
    checkList('readv', buffers, this.#admit('readv', lba, blockCount));
    let position = lba * this.#device.blockLengthBytes;
    for (const buffer of buffers) {
      this.#chunks.read(position, buffer, 0, buffer.byteLength);
      position += buffer.byteLength;
    }
  }

  writev(buffers: readonly Uint8Array[], lba: number, blockCount: number): void {
    checkList('writev', buffers, this.#admit('writev', lba, blockCount));
    let position = lba * this.#device.blockLengthBytes;
    for (const buffer of buffers) {
      this.#chunks.write(position, buffer, 0, buffer.byteLength);
      position += buffer.byteLength;
    }
  }

  readBytes(buffer: Uint8Array, bufferOffset: number, position: number, length: number): void {
    this.#admitBytes('readBytes', buffer, bufferOffset, position, length);
    this.#chunks.read(position, buffer, bufferOffset, length);
  }

  writeBytes(buffer: Uint8Array, bufferOffset: number, position: number, length: number): void {
    this.#admitBytes('writeBytes', buffer, bufferOffset, position, length);
    this.#chunks.write(position, buffer, bufferOffset, length);
  }

  writeZeroes(lba: number, blockCount: number): void {
    const lengthBytes = this.#admit('writeZeroes', lba, blockCount);
    this.#chunks.zero(lba * this.#device.blockLengthBytes, lengthBytes);
  }

  unmap(lba: number, blockCount: number): void {
    const lengthBytes = this.#admit('unmap', lba, blockCount);
    this.#chunks.zero(lba * this.#device.blockLengthBytes, lengthBytes);
  }

  flush(): void {
    checkOpen('flush', this.#isOpen);
  }

  close(): void {
    this.#isOpen = false;
    this.#onClose();
  }

  /** Checks a transfer, and returns its length in bytes. Throws EBADF, EIO or EINVAL. */
  #admit(operation: string, lba: number, blockCount: number): number {
    checkOpen(operation, this.#isOpen);
    checkRange(operation, lba, blockCount, this.#device.blockCount);
    return blockCount * this.#device.blockLengthBytes;
  }

  #admitBytes(operation: string, buffer: Uint8Array, bufferOffset: number, position: number, length: number): void {
    checkOpen(operation, this.#isOpen);
    checkByteRange(operation, position, length, this.#device.blockCount * this.#device.blockLengthBytes);
    checkBuffer(operation, buffer, bufferOffset, length);
  }

  #copy(target: number, source: number, blockCount: number): void {
    checkOpen('copy', this.#isOpen);
    checkCopy(target, source, blockCount, this.#device.blockCount);
    const length = this.#device.blockLengthBytes;
    this.#chunks.copy(target * length, source * length, blockCount * length);
  }
}
