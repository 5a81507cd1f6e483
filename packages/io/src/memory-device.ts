/**
 * A device in shared memory, the fastest kind. Other threads open it from the same memory, and see each other's writes.
 * Buffers from its arena lie in the same memory, so bulk instructions copy them, and nothing is allocated. Other
 * buffers work too, and take about twice the time.
 *
 * Layout of the memory:
 *
 *     0         header: the words of `HEADER`
 *     4096      arena map: a word for each page of the arena (memory-arena.ts)
 *     …         arena
 *     …         the bytes of the device, up to its capacity; beyond its size they are zero
 *
 * The file is long because the device and its channel, both in it, share this layout.
 */

import { randomFillSync } from 'node:crypto';
import { types } from 'node:util';
import { BlobstoreError, type BlockDevice, type DeviceChannel } from '@blobyard/core';
import {
  checkAnyObject,
  checkBoolean,
  checkBytes,
  checkInteger,
  checkMultiple,
  invalid,
} from '@blobyard/core/internal/argument-checks';
import { checkBuffer, checkByteRange, checkCopy, checkList, checkOpen, checkRange } from './bounds.js';
import {
  type BulkMemory,
  bulkMemory,
  createSharedMemory,
  isSharedMemory,
  type SharedWasmMemory,
  WASM_MEMORY_MAX_BYTES,
} from './bulk-memory.js';
import { copyBytes, copyBytesAnywhere } from './copy-bytes.js';
import { MemoryArena, NO_PAGES } from './memory-arena.js';
import type { ResizableDevice } from './resizable-device.js';

/** Options for a new memory device. */
export interface MemoryDeviceOptions {
  /** Size in bytes: a multiple of the block length. */
  readonly sizeBytes: number;
  /** Bytes in a block, 1 to 65536; a store accepts only powers of two from 512 to 4096. Default: 4096. */
  readonly blockLengthBytes?: number;
  /** The size in bytes up to which `resize` can grow it. With the arena, less than 4 GiB. Default: `sizeBytes`. */
  readonly maxSizeBytes?: number;
  /**
   * Bytes of the arena for callers' buffers, rounded up to pages of 4096. Pages take physical memory when they are
   * first touched. Default: 16 MiB.
   */
  readonly arenaBytes?: number;
  /** Whether channels have `copy`. Default: true. */
  readonly canCopy?: boolean;
}

/** Options for opening an existing memory device, in this thread or in another one that got the memory posted. */
export interface SharedMemoryDeviceOptions {
  readonly memory: SharedWasmMemory;
}

/** The words of the header. Only `BLOCK_COUNT` ever changes, and it is atomic, so no lock is needed. */
const HEADER = {
  /** Marks a memory that holds a device. */
  MAGIC: 0,
  BLOCK_LENGTH_BYTES: 1,
  /** Current number of blocks, unsigned, atomic. Written by `resize`, read by every operation. */
  BLOCK_COUNT: 2,
  CAPACITY_BYTES: 3,
  DATA_OFFSET_BYTES: 4,
  ARENA_PAGES: 5,
  ARENA_OFFSET_BYTES: 6,
  CAN_COPY: 7,
  /** A random number of 64 bits, in two words: threads that share the memory have different objects for it. */
  IDENTITY: 8,
} as const;
const HEADER_WORDS = 10;
const MAGIC = 0x626d_6431;

const PAGE_BYTES = 4096;
const DEFAULT_BLOCK_LENGTH_BYTES = 4096;
const BLOCK_LENGTH_BYTES_MAX = 65536;
const DEFAULT_ARENA_BYTES = 16 * 1024 * 1024;

/**
 * A synchronous device in shared memory. The object belongs to one thread; other threads open the same memory. Make a
 * new one with `MemoryDevice.create` or `fromBytes`.
 */
export class MemoryDevice implements ResizableDevice {
  /** Holds the whole device. Post it to another thread, and open it there with `new MemoryDevice({ memory })`. */
  readonly memory: SharedWasmMemory;
  readonly blockLengthBytes: number;
  readonly synchronous = true;
  readonly canCopy: boolean;
  readonly takesBytes = true;
  readonly cacheOwner = 'process';
  readonly #header: Int32Array;
  readonly #view: MemoryView;
  readonly #arena: MemoryArena;
  readonly #arenaOffset: number;
  readonly #channels = new Set<MemoryChannel>();
  #isOpen = true;

  /** Opens the device in an existing memory, for the calling thread. Throws EINVAL if there is none. */
  constructor(options: SharedMemoryDeviceOptions) {
    const { memory } = checkAnyObject('a memory device', options) as Partial<SharedMemoryDeviceOptions>;
    const header = deviceHeader(memory);
    const arenaPages = header[HEADER.ARENA_PAGES];
    this.memory = memory as SharedWasmMemory;
    this.blockLengthBytes = header[HEADER.BLOCK_LENGTH_BYTES];
    this.canCopy = header[HEADER.CAN_COPY] !== 0;
    this.#header = header;
    this.#view = new MemoryView(this.memory, header[HEADER.DATA_OFFSET_BYTES] >>> 0);
    this.#arena = new MemoryArena(new Int32Array(this.memory.buffer, PAGE_BYTES, arenaPages));
    this.#arenaOffset = header[HEADER.ARENA_OFFSET_BYTES];
  }

  /** Creates a device of zeroes. Throws EINVAL for invalid options, ENOMEM if the memory cannot be allocated. */
  static create(options: MemoryDeviceOptions): MemoryDevice {
    const layout = layOut(checkAnyObject('a memory device', options) as unknown as MemoryDeviceOptions);
    const memory = createSharedMemory(layout.dataOffset + layout.capacityBytes);
    const header = new Int32Array(memory.buffer, 0, HEADER_WORDS);
    header[HEADER.BLOCK_LENGTH_BYTES] = layout.blockLengthBytes;
    header[HEADER.BLOCK_COUNT] = layout.blockCount;
    header[HEADER.CAPACITY_BYTES] = layout.capacityBytes;
    header[HEADER.DATA_OFFSET_BYTES] = layout.dataOffset;
    header[HEADER.ARENA_PAGES] = layout.arenaPages;
    header[HEADER.ARENA_OFFSET_BYTES] = layout.arenaOffset;
    header[HEADER.CAN_COPY] = layout.canCopy ? 1 : 0;
    randomFillSync(header, HEADER.IDENTITY, 2);
    header[HEADER.MAGIC] = MAGIC;
    return new MemoryDevice({ memory });
  }

  /** Creates a device with a copy of `image`, which must be whole blocks. Throws as `create`. */
  static fromBytes(image: Uint8Array, options: Omit<MemoryDeviceOptions, 'sizeBytes'> = {}): MemoryDevice {
    checkBytes('the image', image);
    const device = MemoryDevice.create({ ...checkAnyObject('a memory device', options), sizeBytes: image.byteLength });
    device.bytes().set(image);
    return device;
  }

  get blockCount(): number {
    return Atomics.load(this.#header, HEADER.BLOCK_COUNT) >>> 0;
  }

  /** Identifies the memory: two devices with the same identity share it, on whatever threads. */
  get identity(): string {
    const [low, high] = this.#header.subarray(HEADER.IDENTITY, HEADER.IDENTITY + 2);
    return `memory ${low},${high}`;
  }

  /** The spec by which other threads open the device. */
  get spec(): { readonly kind: 'memory'; readonly memory: SharedWasmMemory } {
    return { kind: 'memory', memory: this.memory };
  }

  openChannel(): DeviceChannel {
    checkOpen('openChannel', this.#isOpen);
    const channel = new MemoryChannel(this, this.#view, this.#header, () => this.#channels.delete(channel));
    this.#channels.add(channel);
    return channel;
  }

  /** A view of the device's bytes, not a copy: later writes of any thread show in it. Any thread. */
  bytes(): Uint8Array {
    return this.#view.data(0, this.blockCount * this.blockLengthBytes);
  }

  /**
   * Allocates a page-aligned buffer of `lengthBytes` zeroes in the device's memory, where transfers are fastest. Any
   * thread. Throws EINVAL for an invalid length, ENOMEM when the arena has no free run of pages that is long enough.
   */
  allocateBuffer(lengthBytes: number): Uint8Array {
    checkInteger('the length of a buffer', lengthBytes, 1, WASM_MEMORY_MAX_BYTES);
    const page = this.#arena.allocate(Math.ceil(lengthBytes / PAGE_BYTES));
    if (page !== NO_PAGES) return this.bufferAt(this.#arenaOffset + page * PAGE_BYTES, lengthBytes);
    const freeBytes = this.#arena.freePageCount * PAGE_BYTES;
    const found = `the arena has ${freeBytes} bytes free, possibly not contiguous`;
    const advice = 'release buffers, or make the device with a larger arenaBytes';
    throw new BlobstoreError('ENOMEM', `no room for a buffer of ${lengthBytes} bytes: ${found}; ${advice}`);
  }

  /**
   * Frees a buffer of `allocateBuffer`, from this thread or another one. Any thread. Throws EINVAL for any other
   * buffer, and for one that was released before.
   */
  releaseBuffer(buffer: Uint8Array): void {
    if (!types.isUint8Array(buffer)) throw invalid('the buffer to release', buffer, 'one that allocateBuffer returned');
    const offset = buffer.byteOffset - this.#arenaOffset;
    if (buffer.buffer !== this.memory.buffer || offset % PAGE_BYTES !== 0) {
      throw new BlobstoreError(
        'EINVAL',
        "releaseBuffer of a buffer that is not from this device's arena: release only what allocateBuffer returned",
      );
    }
    // The next owner expects zeroes, and must not see the bytes of this one.
    this.#arena.release(offset / PAGE_BYTES, (pages) => this.#view.zero(buffer.byteOffset, pages * PAGE_BYTES));
  }

  /**
   * This thread's view of a buffer that another thread has allocated, by the `byteOffset` and `byteLength` of that
   * buffer. Any thread. Throws EINVAL for a range outside the memory.
   */
  bufferAt(byteOffset: number, lengthBytes: number): Uint8Array {
    const memoryBytes = this.memory.buffer.byteLength;
    checkInteger('the offset of a buffer', byteOffset, 0, memoryBytes);
    checkInteger('the length of a buffer', lengthBytes, 0, memoryBytes - byteOffset);
    return new Uint8Array(this.memory.buffer, byteOffset, lengthBytes);
  }

  /**
   * Grows the device up to `maxSizeBytes`, or shrinks it, for all threads. Only one thread may call it at a time.
   * Throws EBADF on a closed device, EINVAL for an invalid count.
   */
  resize(blockCount: number): void {
    checkOpen('resize', this.#isOpen);
    const blocksMax = Math.floor((this.#header[HEADER.CAPACITY_BYTES] >>> 0) / this.blockLengthBytes);
    checkInteger('the new block count of a memory device (see maxSizeBytes)', blockCount, 0, blocksMax);
    const before = this.blockCount;
    Atomics.store(this.#header, HEADER.BLOCK_COUNT, blockCount);
    if (blockCount < before) {
      const length = (before - blockCount) * this.blockLengthBytes;
      this.#view.zero(this.#view.dataOffset + blockCount * this.blockLengthBytes, length);
    }
  }

  /** Does nothing: every operation reads the current size. Throws EBADF on a closed device. */
  refresh(): void {
    checkOpen('refresh', this.#isOpen);
  }

  /** Closes this thread's device. The memory and its contents stay for other threads. */
  close(): void {
    this.#isOpen = false;
    for (const channel of this.#channels) channel.close();
  }
}

/**
 * Longer copies are cut into pieces of this many bytes. For long copies, the C library changes to another method, which
 * is slower here: 1 MiB takes 68 to 71 us in one piece, and 60 to 62 us in these pieces (`Buffer.copy`: 65 us).
 */
const PIECE_BYTES = 16384;

/**
 * One thread's access to the memory. Positions are in bytes of the device, except where they are bytes of the memory.
 */
class MemoryView {
  /** The byte of the memory where the device begins. */
  readonly dataOffset: number;
  readonly #buffer: ArrayBufferLike;
  /** All of the memory; with an explicit length, because a length-tracking view is slow. */
  readonly #all: Uint8Array;
  readonly #bulk: BulkMemory;

  constructor(memory: SharedWasmMemory, dataOffset: number) {
    this.#buffer = memory.buffer;
    this.#all = new Uint8Array(memory.buffer, 0, memory.buffer.byteLength);
    this.#bulk = bulkMemory(memory);
    this.dataOffset = dataOffset;
  }

  data(position: number, lengthBytes: number): Uint8Array {
    return new Uint8Array(this.#buffer, this.dataOffset + position, lengthBytes);
  }

  copyOut(position: number, buffer: Uint8Array, bufferOffset: number, lengthBytes: number, copy = copyBytes): void {
    const source = this.dataOffset + position;
    if (buffer.buffer === this.#buffer) {
      this.move(buffer.byteOffset + bufferOffset, source, lengthBytes);
    } else {
      copy(this.#all, source, buffer, bufferOffset, lengthBytes);
    }
  }

  copyIn(position: number, buffer: Uint8Array, bufferOffset: number, lengthBytes: number, copy = copyBytes): void {
    const target = this.dataOffset + position;
    if (buffer.buffer === this.#buffer) {
      this.move(target, buffer.byteOffset + bufferOffset, lengthBytes);
    } else {
      copy(buffer, bufferOffset, this.#all, target, lengthBytes);
    }
  }

  /** True for a buffer that lies in the memory. */
  holds(buffer: Uint8Array): boolean {
    return types.isUint8Array(buffer) && buffer.buffer === this.#buffer;
  }

  /** Copies within the memory; both positions are bytes of the memory. The ranges may overlap. */
  move(target: number, source: number, lengthBytes: number): void {
    if (lengthBytes > PIECE_BYTES && Math.abs(target - source) >= lengthBytes)
      this.#moveInPieces(target, source, lengthBytes);
    else this.#bulk.copy(target | 0, source | 0, lengthBytes | 0);
  }

  #moveInPieces(target: number, source: number, lengthBytes: number): void {
    for (let done = 0; done < lengthBytes; done += PIECE_BYTES) {
      const length = Math.min(PIECE_BYTES, lengthBytes - done);
      this.#bulk.copy((target + done) | 0, (source + done) | 0, length | 0);
    }
  }

  copyWithin(target: number, source: number, lengthBytes: number): void {
    this.move(this.dataOffset + target, this.dataOffset + source, lengthBytes);
  }

  /** @param memoryOffset - in bytes of the memory */
  zero(memoryOffset: number, lengthBytes: number): void {
    this.#bulk.fill(memoryOffset | 0, 0, lengthBytes | 0);
  }
}

class MemoryChannel implements DeviceChannel {
  readonly copy?: (targetLba: number, sourceLba: number, blockCount: number) => void;
  readonly #device: BlockDevice;
  readonly #view: MemoryView;
  readonly #blockLengthBytes: number;
  readonly #header: Int32Array;
  readonly #onClose: () => void;
  #isOpen = true;
  /**
   * The buffer of the last transfer whose buffer was in the device's memory, with its position and length. These never
   * change, so they are read once.
   */
  #ownBuffer: Uint8Array | undefined;
  #ownOffset = 0;
  #ownLength = 0;

  constructor(device: BlockDevice, view: MemoryView, header: Int32Array, onClose: () => void) {
    this.#device = device;
    this.#view = view;
    this.#header = header;
    this.#blockLengthBytes = device.blockLengthBytes;
    this.#onClose = onClose;
    if (device.canCopy) this.copy = (target, source, count) => this.#copy(target, source, count);
  }

  read(buffer: Uint8Array, bufferOffset: number, lba: number, blockCount: number): void {
    if (this.#isPlain(buffer, bufferOffset, lba, blockCount)) {
      const length = this.#blockLengthBytes;
      this.#view.move(this.#ownOffset + bufferOffset, this.#view.dataOffset + lba * length, blockCount * length);
      return;
    }
    this.#remember(buffer);
    const lengthBytes = this.#admit('read', lba, blockCount);
    checkBuffer('read', buffer, bufferOffset, lengthBytes);
    this.#view.copyOut(lba * this.#blockLengthBytes, buffer, bufferOffset, lengthBytes);
  }

  write(buffer: Uint8Array, bufferOffset: number, lba: number, blockCount: number): void {
    if (this.#isPlain(buffer, bufferOffset, lba, blockCount)) {
      const length = this.#blockLengthBytes;
      this.#view.move(this.#view.dataOffset + lba * length, this.#ownOffset + bufferOffset, blockCount * length);
      return;
    }
    this.#remember(buffer);
    const lengthBytes = this.#admit('write', lba, blockCount);
    checkBuffer('write', buffer, bufferOffset, lengthBytes);
    this.#view.copyIn(lba * this.#blockLengthBytes, buffer, bufferOffset, lengthBytes);
  }

  /**
   * True for a valid transfer with the remembered buffer. All these checks together cost less than reading `byteOffset`
   * and `buffer` of a typed array.
   */
  #isPlain(buffer: Uint8Array, bufferOffset: number, lba: number, blockCount: number): boolean {
    return (
      buffer === this.#ownBuffer &&
      this.#isOpen &&
      (lba | 0) === lba &&
      (blockCount | 0) === blockCount &&
      (bufferOffset | 0) === bufferOffset &&
      lba >= 0 &&
      blockCount >= 0 &&
      bufferOffset >= 0 &&
      lba + blockCount <= this.#header[HEADER.BLOCK_COUNT] >>> 0 &&
      bufferOffset + blockCount * this.#blockLengthBytes <= this.#ownLength
    );
  }

  #remember(buffer: Uint8Array): void {
    if (buffer === this.#ownBuffer || !this.#view.holds(buffer)) return;
    this.#ownBuffer = buffer;
    this.#ownOffset = buffer.byteOffset;
    this.#ownLength = buffer.length;
  }

  readv(buffers: readonly Uint8Array[], lba: number, blockCount: number): void {
    checkList('readv', buffers, this.#admit('readv', lba, blockCount));
    let position = lba * this.#blockLengthBytes;
    for (const buffer of buffers) {
      this.#view.copyOut(position, buffer, 0, buffer.byteLength);
      position += buffer.byteLength;
    }
  }

  writev(buffers: readonly Uint8Array[], lba: number, blockCount: number): void {
    checkList('writev', buffers, this.#admit('writev', lba, blockCount));
    let position = lba * this.#blockLengthBytes;
    for (const buffer of buffers) {
      this.#view.copyIn(position, buffer, 0, buffer.byteLength);
      position += buffer.byteLength;
    }
  }

  readBytes(buffer: Uint8Array, bufferOffset: number, position: number, length: number): void {
    this.#admitBytes('readBytes', buffer, bufferOffset, position, length);
    this.#view.copyOut(position, buffer, bufferOffset, length, copyBytesAnywhere);
  }

  writeBytes(buffer: Uint8Array, bufferOffset: number, position: number, length: number): void {
    this.#admitBytes('writeBytes', buffer, bufferOffset, position, length);
    this.#view.copyIn(position, buffer, bufferOffset, length, copyBytesAnywhere);
  }

  writeZeroes(lba: number, blockCount: number): void {
    const lengthBytes = this.#admit('writeZeroes', lba, blockCount);
    this.#view.zero(this.#view.dataOffset + lba * this.#blockLengthBytes, lengthBytes);
  }

  /** Only zeroes the blocks: the pages of a shared memory cannot be returned to the system. */
  unmap(lba: number, blockCount: number): void {
    const lengthBytes = this.#admit('unmap', lba, blockCount);
    this.#view.zero(this.#view.dataOffset + lba * this.#blockLengthBytes, lengthBytes);
  }

  flush(): void {
    checkOpen('flush', this.#isOpen);
  }

  close(): void {
    this.#isOpen = false;
    this.#onClose();
  }

  #copy(target: number, source: number, blockCount: number): void {
    checkOpen('copy', this.#isOpen);
    checkCopy(target, source, blockCount, this.#device.blockCount);
    const length = this.#blockLengthBytes;
    this.#view.copyWithin(target * length, source * length, blockCount * length);
  }

  /** Checks a transfer, and returns its length in bytes. Throws EBADF, EIO or EINVAL. */
  #admit(operation: string, lba: number, blockCount: number): number {
    checkOpen(operation, this.#isOpen);
    checkRange(operation, lba, blockCount, this.#device.blockCount);
    return blockCount * this.#blockLengthBytes;
  }

  #admitBytes(operation: string, buffer: Uint8Array, bufferOffset: number, position: number, length: number): void {
    checkOpen(operation, this.#isOpen);
    checkByteRange(operation, position, length, this.#device.blockCount * this.#blockLengthBytes);
    checkBuffer(operation, buffer, bufferOffset, length);
  }
}

/** Checks the options of a new device, and computes the layout of its memory. */
function layOut(options: MemoryDeviceOptions) {
  const { blockLengthBytes = DEFAULT_BLOCK_LENGTH_BYTES, arenaBytes = DEFAULT_ARENA_BYTES } = options;
  checkInteger('blockLengthBytes', blockLengthBytes, 1, BLOCK_LENGTH_BYTES_MAX);
  checkInteger('arenaBytes', arenaBytes, 0, WASM_MEMORY_MAX_BYTES);
  const arenaPages = Math.ceil(arenaBytes / PAGE_BYTES);
  const arenaOffset = PAGE_BYTES + Math.ceil((arenaPages * Int32Array.BYTES_PER_ELEMENT) / PAGE_BYTES) * PAGE_BYTES;
  const dataOffset = arenaOffset + arenaPages * PAGE_BYTES;
  const room = WASM_MEMORY_MAX_BYTES - dataOffset;
  const { sizeBytes, maxSizeBytes = sizeBytes } = options;
  checkMultiple('sizeBytes', sizeBytes, blockLengthBytes, Number.MAX_SAFE_INTEGER);
  checkInteger('maxSizeBytes', maxSizeBytes, sizeBytes, Number.MAX_SAFE_INTEGER);
  if (maxSizeBytes > room) {
    const wanted = `${room} bytes or less, because one memory holds 4 GiB with the arena`;
    throw invalid('the size of a memory device', maxSizeBytes, `${wanted}; beyond that use kind 'sparse-memory'`);
  }
  const canCopy = checkBoolean('canCopy', options.canCopy, true);
  const blockCount = sizeBytes / blockLengthBytes;
  return { blockLengthBytes, blockCount, capacityBytes: maxSizeBytes, dataOffset, arenaPages, arenaOffset, canCopy };
}

function deviceHeader(memory: unknown): Int32Array {
  if (!isSharedMemory(memory) || memory.buffer.byteLength < PAGE_BYTES)
    throw invalid('memory', memory, 'a shared WebAssembly.Memory');
  const header = new Int32Array(memory.buffer, 0, HEADER_WORDS);
  if (header[HEADER.MAGIC] === MAGIC) return header;
  throw new BlobstoreError('EINVAL', 'the memory holds no device: pass the memory of a MemoryDevice');
}
