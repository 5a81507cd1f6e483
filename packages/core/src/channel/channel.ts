/**
 * A channel: one thread's access to the data of a store's blobs. Each operation is checked and split at cluster
 * boundaries. Each part is looked up in the shared cluster map and sent to the device, all on the calling thread.
 *
 * The `…Sync` methods need synchronous devices; a read then allocates no object and no promise. The promise methods
 * work with all devices. Offsets and counts are in io units, `bufferOffset` is in bytes. Only the thread that made a
 * channel can use it.
 *
 * This file is long because it is one class: a method for each request in each form, and the fast path of all of them.
 */

import type { DeviceChannel, RequestOptions } from '../device/block-device.js';
import { type BlobBlocks, NOT_ADMITTED } from '../shared/blob-blocks.js';
import type { MapArena } from '../shared/map-arena.js';
import type { StoreLife } from '../shared/store-life.js';
import { type Steps, wait } from '../steps/steps.js';
import { isBytes } from '../units/argument-checks.js';
import { BlobstoreError, coded } from '../units/error.js';
import type { BlobCluster } from '../units/units.js';
import { BehindBlobs } from './behind-blobs.js';
import { BlobGate, FrozenBehind } from './blob-gate.js';
import { BlobReader } from './blob-reader.js';
import { BlobWriter } from './blob-writer.js';
import { ClusterAllocator } from './cluster-allocator.js';
import { ExternalChannels } from './external-channels.js';
import type { BlobRef, ChannelHost } from './host.js';
import { OP } from './operation.js';
import { isRef } from './request-checks.js';
import { type TransferCounts, Transfers } from './transfers.js';

/** A channel. Only the thread that made it can use it. */
export class Channel {
  readonly #host: ChannelHost;
  readonly #device: DeviceChannel;
  readonly #gate: BlobGate;
  readonly #externals: ExternalChannels;
  readonly #behind: BehindBlobs;
  readonly #allocator: ClusterAllocator;
  readonly #transfers: Transfers;
  readonly #blobs: BlobBlocks;
  readonly #maps: MapArena;
  readonly #life: StoreLife | undefined;
  /**
   * True when the fast path counts its transfers as inside a blob, because freezers run on another thread at the same
   * time.
   */
  readonly #isCounted: boolean;
  #hasFastPath: boolean;
  readonly #ioUnitBytes: number;
  readonly #clusterBytes: number;
  readonly #blockBytes: number;
  readonly #takesBytes: boolean;

  constructor(host: ChannelHost) {
    this.#host = host;
    this.#gate = new BlobGate(host, (transfer) => this.#transfers.runPart(transfer));
    this.#device = host.device.openChannel();
    this.#externals = new ExternalChannels(host);
    this.#behind = new BehindBlobs(host.shared, this.#gate);
    const reader = new BlobReader(host, this.#behind, this.#device, this.#externals);
    this.#allocator = new ClusterAllocator(host, this.#gate, this.#device, reader);
    const writer = new BlobWriter(host, this.#gate, this.#device, this.#allocator);
    this.#transfers = new Transfers(host, this.#gate, reader, writer);
    this.#blobs = host.shared.blobs;
    this.#maps = host.shared.maps;
    this.#life = host.shared.life;
    this.#hasFastPath = host.device.synchronous;
    this.#isCounted = !host.isMetadataThread;
    this.#ioUnitBytes = host.geometry.ioUnitBytes;
    this.#clusterBytes = host.geometry.clusterBytes;
    this.#blockBytes = host.device.blockLengthBytes;
    this.#takesBytes = host.device.takesBytes === true && takesBytes(this.#device);
  }

  /** True only for a real `Channel`, not for an object of the same shape. */
  static is(value: unknown): value is Channel {
    return typeof value === 'object' && value !== null && #host in value;
  }

  /**
   * True if `readBytesSync`, `writeBytesSync`, `readBytes` and `writeBytes` can be used: the device takes any bytes.
   */
  get takesBytes(): boolean {
    return this.#takesBytes;
  }

  /** The number of promise-form operations that have not ended. */
  get outstanding(): number {
    return this.#transfers.outstanding;
  }

  /** Counts of the transfers of this channel. All of them are free while no operation is under way. */
  get transfers(): TransferCounts {
    return this.#transfers.counts;
  }

  /** The number of operations that wait for a blob to be thawed. */
  get frozenDepth(): number {
    return this.#gate.depth;
  }

  /**
   * Reads as `readSync`, if that is possible without waiting: the device is synchronous, the blob is not frozen, and
   * the range is in at most two clusters, or in clusters that follow one another on the device, all of them allocated.
   * Otherwise, and for wrong arguments, does nothing and returns false. Call `read` then: it waits where it must, or
   * reports the error. Throws EIO when the device fails.
   */
  tryReadNow(blob: BlobRef, buffer: Uint8Array, offset: number, count: number, bufferOffset = 0): boolean {
    if (!Number.isInteger(offset) || !Number.isInteger(count)) return false;
    const unitBytes = this.#ioUnitBytes;
    return this.tryReadBytesNow(blob, buffer, offset * unitBytes, count * unitBytes, bufferOffset);
  }

  /** Writes as `writeSync`, if that is possible without waiting; see `tryReadNow`. */
  tryWriteNow(blob: BlobRef, buffer: Uint8Array, offset: number, count: number, bufferOffset = 0): boolean {
    if (!Number.isInteger(offset) || !Number.isInteger(count)) return false;
    const unitBytes = this.#ioUnitBytes;
    return this.tryWriteBytesNow(blob, buffer, offset * unitBytes, count * unitBytes, bufferOffset);
  }

  /**
   * As `tryReadNow`, with `offset` and `length` in bytes. Needs a device that takes any range of bytes, or a range of
   * whole blocks of the device; otherwise returns false.
   */
  tryReadBytesNow(blob: BlobRef, buffer: Uint8Array, offset: number, length: number, bufferOffset = 0): boolean {
    return isRef(blob) && this.#fastPath(false, blob.slot, blob.generation, buffer, bufferOffset, offset, length);
  }

  /**
   * As `tryWriteNow`, with `offset` and `length` in bytes; see `tryReadBytesNow`. The device gets just these bytes:
   * nothing is read and written back. So the caller must not hold other bytes of the same io units in memory, to write
   * them back later.
   */
  tryWriteBytesNow(blob: BlobRef, buffer: Uint8Array, offset: number, length: number, bufferOffset = 0): boolean {
    return isRef(blob) && this.#fastPath(true, blob.slot, blob.generation, buffer, bufferOffset, offset, length);
  }

  /**
   * Reads `count` io units, starting at io unit `offset`, into `buffer`, starting at byte `bufferOffset`.
   * @throws EINVAL for a range outside the blob or the buffer, EIO when the device fails or the store has failed, EBADF
   * when the blob, the channel or the store is closed, ENOTSUP when the device, or the external snapshot that is read,
   * is asynchronous, EBUSY when it would have to wait for an operation of this thread.
   */
  readSync(blob: BlobRef, buffer: Uint8Array, offset: number, count: number, bufferOffset = 0): void {
    if (this.tryReadNow(blob, buffer, offset, count, bufferOffset)) return;
    this.#transfers.runSync(OP.READ, blob, buffer, bufferOffset, offset, count);
  }

  /**
   * Writes `count` io units, starting at io unit `offset`, from `buffer`, starting at byte `bufferOffset`.
   * @throws as `readSync`; also EPERM for a read-only blob, ENOSPC when there is no free cluster for a thin blob.
   */
  writeSync(blob: BlobRef, buffer: Uint8Array, offset: number, count: number, bufferOffset = 0): void {
    if (this.tryWriteNow(blob, buffer, offset, count, bufferOffset)) return;
    this.#transfers.runSync(OP.WRITE, blob, buffer, bufferOffset, offset, count);
  }

  /**
   * As `readSync`, with `offset` and `length` in bytes. The device is asked for just these bytes.
   * @throws as `readSync`; also ENOTSUP unless `takesBytes`
   */
  readBytesSync(blob: BlobRef, buffer: Uint8Array, offset: number, length: number, bufferOffset = 0): void {
    if (this.tryReadBytesNow(blob, buffer, offset, length, bufferOffset)) return;
    this.#requireBytes();
    this.#transfers.runSync(OP.READ_BYTES, blob, buffer, bufferOffset, offset, length);
  }

  /**
   * As `writeSync`, with `offset` and `length` in bytes. The device gets just these bytes; see `tryWriteBytesNow`.
   * @throws as `writeSync`; also ENOTSUP unless `takesBytes`
   */
  writeBytesSync(blob: BlobRef, buffer: Uint8Array, offset: number, length: number, bufferOffset = 0): void {
    if (this.tryWriteBytesNow(blob, buffer, offset, length, bufferOffset)) return;
    this.#requireBytes();
    this.#transfers.runSync(OP.WRITE_BYTES, blob, buffer, bufferOffset, offset, length);
  }

  /**
   * Reads `count` io units into the buffers, one after another. The buffers' lengths must add up to that. `options` is
   * passed to the device.
   * @throws as `readSync`; also EINVAL when the lengths do not add up
   */
  readvSync(
    blob: BlobRef,
    buffers: readonly Uint8Array[],
    offset: number,
    count: number,
    options?: RequestOptions,
  ): void {
    this.#transfers.runSync(OP.READV, blob, { buffers, options }, 0, offset, count);
  }

  /**
   * Writes `count` io units from the buffers, one after another. The buffers' lengths must add up to that. `options` is
   * passed to the device.
   * @throws as `writeSync`; also EINVAL when the lengths do not add up
   */
  writevSync(
    blob: BlobRef,
    buffers: readonly Uint8Array[],
    offset: number,
    count: number,
    options?: RequestOptions,
  ): void {
    this.#transfers.runSync(OP.WRITEV, blob, { buffers, options }, 0, offset, count);
  }

  /** Makes io units read as zeroes. Allocates unallocated clusters. Throws as `writeSync`. */
  writeZeroesSync(blob: BlobRef, offset: number, count: number): void {
    this.#transfers.runSync(OP.WRITE_ZEROES, blob, undefined, 0, offset, count);
  }

  /**
   * Makes allocated io units read as zeroes. Frees whole clusters of a thin blob with nothing but zeroes behind it.
   * Unallocated clusters stay as they are, whatever they read as. Throws as `writeSync`.
   */
  unmapSync(blob: BlobRef, offset: number, count: number): void {
    this.#transfers.runSync(OP.UNMAP, blob, undefined, 0, offset, count);
  }

  /**
   * As `readSync`, but waits where it must, on any device. Rejects with ENOMEM when the channel has as many requests
   * under way as it takes.
   */
  read(blob: BlobRef, buffer: Uint8Array, offset: number, count: number, bufferOffset = 0): Promise<void> {
    return this.#transfers.run(OP.READ, blob, buffer, bufferOffset, offset, count);
  }

  /** As `writeSync`, but waits where it must, as `read` does. */
  write(blob: BlobRef, buffer: Uint8Array, offset: number, count: number, bufferOffset = 0): Promise<void> {
    return this.#transfers.run(OP.WRITE, blob, buffer, bufferOffset, offset, count);
  }

  /** As `readBytesSync`, but waits where it must, as `read` does. */
  async readBytes(blob: BlobRef, buffer: Uint8Array, offset: number, length: number, bufferOffset = 0): Promise<void> {
    if (this.tryReadBytesNow(blob, buffer, offset, length, bufferOffset)) return;
    this.#requireBytes();
    await this.#transfers.run(OP.READ_BYTES, blob, buffer, bufferOffset, offset, length);
  }

  /** As `writeBytesSync`, but waits where it must, as `read` does. */
  async writeBytes(blob: BlobRef, buffer: Uint8Array, offset: number, length: number, bufferOffset = 0): Promise<void> {
    if (this.tryWriteBytesNow(blob, buffer, offset, length, bufferOffset)) return;
    this.#requireBytes();
    await this.#transfers.run(OP.WRITE_BYTES, blob, buffer, bufferOffset, offset, length);
  }

  /** As `readvSync`, but waits where it must, as `read` does. */
  readv(
    blob: BlobRef,
    buffers: readonly Uint8Array[],
    offset: number,
    count: number,
    options?: RequestOptions,
  ): Promise<void> {
    return this.#transfers.run(OP.READV, blob, { buffers, options }, 0, offset, count);
  }

  /** As `writevSync`, but waits where it must, as `read` does. */
  writev(
    blob: BlobRef,
    buffers: readonly Uint8Array[],
    offset: number,
    count: number,
    options?: RequestOptions,
  ): Promise<void> {
    return this.#transfers.run(OP.WRITEV, blob, { buffers, options }, 0, offset, count);
  }

  /** As `writeZeroesSync`, but waits where it must, as `read` does. */
  writeZeroes(blob: BlobRef, offset: number, count: number): Promise<void> {
    return this.#transfers.run(OP.WRITE_ZEROES, blob, undefined, 0, offset, count);
  }

  /** As `unmapSync`, but waits where it must, as `read` does. */
  unmap(blob: BlobRef, offset: number, count: number): Promise<void> {
    return this.#transfers.run(OP.UNMAP, blob, undefined, 0, offset, count);
  }

  /**
   * Allocates a cluster and gives it the content that it reads as. Does nothing if it is allocated already. For
   * inflate.
   */
  *allocate(blob: BlobRef, index: BlobCluster): Steps<void> {
    for (;;) {
      let behind: FrozenBehind;
      yield* this.#gate.enterSteps(blob.slot);
      try {
        yield* this.#allocator.allocate(blob.slot, index, false);
        return;
      } catch (error) {
        if (!(error instanceof FrozenBehind)) throw error;
        behind = error;
      } finally {
        this.#gate.leave(blob.slot);
      }
      if (this.#gate.mustWait(behind.slot)) yield* wait(this.#gate.queue(behind.slot));
    }
  }

  /** Reads whole clusters of a blob into the start of a buffer. For copies. */
  readClusters(blob: BlobRef, buffer: Uint8Array, first: BlobCluster, count: number): Steps<void> {
    const { ioUnitsPerCluster } = this.#host.geometry;
    return wait(this.#transfers.start(OP.READ, blob, buffer, 0, first * ioUnitsPerCluster, count * ioUnitsPerCluster));
  }

  /** True while operations of this channel are inside blobs. */
  get isInside(): boolean {
    return this.#gate.isInside;
  }

  /**
   * Throws EBUSY when this thread must not block, because what it would wait for may wait for operations of this
   * channel.
   */
  requireMayBlock(): void {
    this.#gate.requireMayBlock();
  }

  /** Runs the operations that were queued while a blob was frozen, in order. */
  thaw(slot: number): void {
    this.#gate.thaw(slot);
  }

  /** Closes the channel to the device behind an external clone, if there is one. */
  closeExternal(slot: number): void {
    this.#externals.close(slot);
  }

  /**
   * Closes the channel: queued operations fail with EIO, and those under way are waited for. A second call does
   * nothing.
   */
  *close(): Steps<void> {
    if (this.#transfers.isClosed) return;
    this.#transfers.close();
    this.#hasFastPath = false;
    this.#gate.end(new BlobstoreError('EIO', 'the channel was closed meanwhile'));
    yield* this.#transfers.ended();
    try {
      this.#externals.closeAll();
    } finally {
      try {
        this.#device.close();
      } finally {
        this.#life?.left();
        this.#gate.close();
      }
    }
  }

  /**
   * The fast path: a transfer within allocated clusters of a blob that is not frozen, or a read of clusters behind it
   * that were read before. Clusters that follow one another on the device are one transfer of the device; others can be
   * two. Otherwise does nothing and returns false; the slow path then finds out the reason, and checks the arguments.
   * The device checks that the range is within the buffer.
   */
  #fastPath(
    isWrite: boolean,
    slot: number,
    generation: number,
    buffer: Uint8Array,
    bufferOffset: number,
    offset: number,
    length: number,
  ): boolean {
    // The arithmetic below would convert other types to numbers.
    if (typeof offset !== 'number' || typeof length !== 'number' || typeof slot !== 'number') return false;
    const cluster = Math.floor(offset / this.#clusterBytes);
    const within = offset - cluster * this.#clusterBytes;
    if (!this.#hasFastPath || !(offset >= 0 && length > 0) || !this.#isTaken(within, length)) return false;
    // Earlier transfers run first: those queued for this blob, even if it is thawed already, and those that wait for a
    // cluster.
    if (this.#gate.depth > 0 || (isWrite && this.#allocator.isAllocating)) return false;
    // Blobs are frozen only on the metadata thread. If this is that thread, none is frozen before this call returns.
    if (!this.#isCounted)
      return this.#fastPathInside(isWrite, slot, generation, buffer, bufferOffset, cluster, within, length);
    this.#life?.glance();
    if (!this.#blobs.hasSlot(slot)) return false; // there is no frozen count to check
    if (!this.#gate.tryEnter(slot)) return false;
    try {
      return this.#fastPathInside(isWrite, slot, generation, buffer, bufferOffset, cluster, within, length);
    } finally {
      this.#gate.leave(slot);
    }
  }

  #requireBytes(): void {
    if (this.#takesBytes) return;
    throw new BlobstoreError('ENOTSUP', 'the device takes only whole blocks: transfer whole io units');
  }

  /** True if the device takes a range as it is: whole blocks, or any whole bytes if it takes these. */
  #isTaken(within: number, length: number): boolean {
    const unit = this.#takesBytes ? 1 : this.#blockBytes;
    return Number.isInteger(within / unit) && Number.isInteger(length / unit); // `%` would take longer
  }

  #fastPathInside(
    isWrite: boolean,
    slot: number,
    generation: number,
    buffer: Uint8Array,
    bufferOffset: number,
    cluster: number,
    within: number,
    length: number,
  ): boolean {
    const clusterBytes = this.#clusterBytes;
    const more = within + length <= clusterBytes ? 0 : Math.ceil((within + length) / clusterBytes) - 1;
    const map = this.#blobs.admit(slot, generation, cluster + more, isWrite);
    if (map === NOT_ADMITTED) return false;
    const entry = this.#entryAt(isWrite, slot, generation, map, cluster);
    if (entry <= 0) return false; // not allocated, and no cluster behind the blob is known for it
    const position = entry * clusterBytes + within;
    if (more === 0 || this.#areInARow(map, cluster, entry, more)) {
      this.#move(isWrite, buffer, bufferOffset, position, length);
      return true;
    }
    const next = this.#entryAt(isWrite, slot, generation, map, cluster + 1);
    if (more > 1 || next <= 0 || !hasRoom(buffer, bufferOffset, length)) return false; // before the first part is moved
    const here = clusterBytes - within;
    this.#move(isWrite, buffer, bufferOffset, position, here);
    this.#move(isWrite, buffer, bufferOffset + here, next * clusterBytes, length - here);
    return true;
  }

  /**
   * The device cluster of a cluster; for a read, also the known cluster behind the blob. 0 or negative if there is
   * none.
   */
  #entryAt(isWrite: boolean, slot: number, generation: number, map: number, cluster: number): number {
    const own = this.#maps.peekIn(map, cluster);
    return own === 0 && !isWrite ? this.#behind.known(slot, generation, cluster) : own;
  }

  /** True if the blob has the clusters after a cluster, and they follow it on the device, too. */
  #areInARow(map: number, cluster: number, entry: number, more: number): boolean {
    for (let after = 1; after <= more; after++) {
      if (this.#maps.peekIn(map, cluster + after) !== entry + after) return false;
    }
    return true;
  }

  /** Reads or writes a range of bytes of the device: as blocks, if it consists of whole blocks. */
  #move(isWrite: boolean, buffer: Uint8Array, bufferOffset: number, position: number, length: number): void {
    const lba = position / this.#blockBytes;
    const blocks = length / this.#blockBytes;
    try {
      if (Number.isInteger(lba) && Number.isInteger(blocks)) {
        if (isWrite) void this.#device.write(buffer, bufferOffset, lba, blocks);
        else void this.#device.read(buffer, bufferOffset, lba, blocks);
      } else if (isWrite) void this.#device.writeBytes?.(buffer, bufferOffset, position, length);
      else void this.#device.readBytes?.(buffer, bufferOffset, position, length);
    } catch (error) {
      throw coded(error, isWrite ? 'write' : 'read');
    }
  }
}

function takesBytes(channel: DeviceChannel): boolean {
  return typeof channel.readBytes === 'function' && typeof channel.writeBytes === 'function';
}

function hasRoom(buffer: Uint8Array, bufferOffset: number, length: number): boolean {
  return (
    isBytes(buffer) && Number.isInteger(bufferOffset) && bufferOffset >= 0 && bufferOffset + length <= buffer.length
  );
}
