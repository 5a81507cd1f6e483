/**
 * A channel: one thread's way to the data of a store's blobs. Each operation is checked, taken apart at cluster boundaries,
 * and each part looked up in the shared cluster map and sent to the device, right on the calling thread.
 *
 * The `…Sync` forms need synchronous devices; reading then makes no object and no promise. The promise forms work on all.
 * Offsets and lengths are in io units. One thread uses a channel.
 */

import type { DeviceChannel, RequestOptions } from '../device/block-device.js';
import { type BlobBlocks, NOT_ADMITTED } from '../shared/blob-blocks.js';
import type { MapArena } from '../shared/map-arena.js';
import type { StoreLife } from '../shared/store-life.js';
import { type Steps, wait } from '../steps/steps.js';
import { BlobstoreError, coded } from '../units/error.js';
import type { BlobCluster } from '../units/units.js';
import { BlobGate, FrozenBehind } from './blob-gate.js';
import { BlobReader } from './blob-reader.js';
import { BlobWriter } from './blob-writer.js';
import { ClusterAllocator } from './cluster-allocator.js';
import { ExternalChannels } from './external-channels.js';
import type { BlobRef, ChannelHost } from './host.js';
import { OP } from './operation.js';
import { isRef } from './request-checks.js';
import { type TransferCounts, Transfers } from './transfers.js';

export class Channel {
  readonly #host: ChannelHost;
  readonly #device: DeviceChannel;
  readonly #gate: BlobGate;
  readonly #externals: ExternalChannels;
  readonly #allocator: ClusterAllocator;
  readonly #transfers: Transfers;
  readonly #blobs: BlobBlocks;
  readonly #maps: MapArena;
  readonly #life: StoreLife | undefined;
  /** Transfers are counted, because those who freeze blobs run at the same time. */
  readonly #isCounted: boolean;
  #hasFastPath: boolean;
  readonly #ioUnitsPerCluster: number;
  readonly #blocksPerCluster: number;
  readonly #blocksPerIoUnit: number;

  constructor(host: ChannelHost) {
    this.#host = host;
    this.#gate = new BlobGate(host, (transfer) => this.#transfers.runPart(transfer));
    this.#device = host.device.openChannel();
    this.#externals = new ExternalChannels(host);
    const reader = new BlobReader(host, this.#gate, this.#device, this.#externals);
    this.#allocator = new ClusterAllocator(host, this.#gate, this.#device, reader);
    const writer = new BlobWriter(host, this.#gate, this.#device, this.#allocator);
    this.#transfers = new Transfers(host, this.#gate, reader, writer);
    this.#blobs = host.shared.blobs;
    this.#maps = host.shared.maps;
    this.#life = host.shared.life;
    this.#hasFastPath = host.device.synchronous;
    this.#isCounted = !host.isMetadataThread;
    this.#ioUnitsPerCluster = host.geometry.ioUnitsPerCluster;
    this.#blocksPerCluster = host.geometry.blocksPerCluster;
    this.#blocksPerIoUnit = host.geometry.blocksPerIoUnit;
  }

  /** True for a channel, and not for what merely looks like one. */
  static is(value: unknown): value is Channel {
    return typeof value === 'object' && value !== null && #host in value;
  }

  /** Operations in promise form that have not ended. */
  get outstanding(): number {
    return this.#transfers.outstanding;
  }

  /** The channel's transfers: while no operation is under way, all of them are free. */
  get transfers(): TransferCounts {
    return this.#transfers.counts;
  }

  /** Operations that wait for a blob to be unfrozen. */
  get frozenDepth(): number {
    return this.#gate.depth;
  }

  /**
   * As `readSync` where that needs to wait for nobody: within one cluster that is allocated, of a blob that is not frozen, on a
   * synchronous device. Otherwise answers false, with nothing done; `read` finds out what to do, and whether it is an error.
   */
  tryReadNow(blob: BlobRef, buffer: Uint8Array, offset: number, count: number, bufferOffset = 0): boolean {
    return isRef(blob) && this.#fastPath(false, blob.slot, blob.generation, buffer, bufferOffset, offset, count);
  }

  /** As `writeSync`; otherwise as `tryReadNow`. */
  tryWriteNow(blob: BlobRef, buffer: Uint8Array, offset: number, count: number, bufferOffset = 0): boolean {
    return isRef(blob) && this.#fastPath(true, blob.slot, blob.generation, buffer, bufferOffset, offset, count);
  }

  /**
   * Reads `count` io units from `offset` on into `buffer`, from byte `bufferOffset` on.
   * @throws EINVAL outside the blob or the buffer, EIO of the device, EBADF closed, ENOTSUP asynchronous device.
   */
  readSync(blob: BlobRef, buffer: Uint8Array, offset: number, count: number, bufferOffset = 0): void {
    if (this.tryReadNow(blob, buffer, offset, count, bufferOffset)) return;
    this.#transfers.runSync(OP.READ, blob, buffer, bufferOffset, offset, count);
  }

  /** Writes; otherwise as `readSync`. Also EPERM read-only, ENOSPC no cluster left for a thin blob. */
  writeSync(blob: BlobRef, buffer: Uint8Array, offset: number, count: number, bufferOffset = 0): void {
    if (this.tryWriteNow(blob, buffer, offset, count, bufferOffset)) return;
    this.#transfers.runSync(OP.WRITE, blob, buffer, bufferOffset, offset, count);
  }

  /** Reads into buffers one after another; their lengths add up to `count` io units. The device is given `options`. */
  readvSync(
    blob: BlobRef,
    buffers: readonly Uint8Array[],
    offset: number,
    count: number,
    options?: RequestOptions,
  ): void {
    this.#transfers.runSync(OP.READV, blob, { buffers, options }, 0, offset, count);
  }

  /** Writes from buffers one after another; their lengths add up to `count` io units. The device is given `options`. */
  writevSync(
    blob: BlobRef,
    buffers: readonly Uint8Array[],
    offset: number,
    count: number,
    options?: RequestOptions,
  ): void {
    this.#transfers.runSync(OP.WRITEV, blob, { buffers, options }, 0, offset, count);
  }

  /** Makes io units read as zeroes; unallocated clusters are allocated. */
  writeZeroesSync(blob: BlobRef, offset: number, count: number): void {
    this.#transfers.runSync(OP.WRITE_ZEROES, blob, undefined, 0, offset, count);
  }

  /**
   * Makes allocated io units read as zeroes, and gives whole clusters back where nothing behind the blob would show through.
   * Unallocated clusters stay as they are.
   */
  unmapSync(blob: BlobRef, offset: number, count: number): void {
    this.#transfers.runSync(OP.UNMAP, blob, undefined, 0, offset, count);
  }

  /** As `readSync`; waits where it must. ENOMEM when the channel has as many requests as it takes. */
  read(blob: BlobRef, buffer: Uint8Array, offset: number, count: number, bufferOffset = 0): Promise<void> {
    return this.#transfers.run(OP.READ, blob, buffer, bufferOffset, offset, count);
  }

  /** As `writeSync`; waits where it must. */
  write(blob: BlobRef, buffer: Uint8Array, offset: number, count: number, bufferOffset = 0): Promise<void> {
    return this.#transfers.run(OP.WRITE, blob, buffer, bufferOffset, offset, count);
  }

  /** As `readvSync`; waits where it must. */
  readv(
    blob: BlobRef,
    buffers: readonly Uint8Array[],
    offset: number,
    count: number,
    options?: RequestOptions,
  ): Promise<void> {
    return this.#transfers.run(OP.READV, blob, { buffers, options }, 0, offset, count);
  }

  /** As `writevSync`; waits where it must. */
  writev(
    blob: BlobRef,
    buffers: readonly Uint8Array[],
    offset: number,
    count: number,
    options?: RequestOptions,
  ): Promise<void> {
    return this.#transfers.run(OP.WRITEV, blob, { buffers, options }, 0, offset, count);
  }

  /** As `writeZeroesSync`; waits where it must. */
  writeZeroes(blob: BlobRef, offset: number, count: number): Promise<void> {
    return this.#transfers.run(OP.WRITE_ZEROES, blob, undefined, 0, offset, count);
  }

  /** As `unmapSync`; waits where it must. */
  unmap(blob: BlobRef, offset: number, count: number): Promise<void> {
    return this.#transfers.run(OP.UNMAP, blob, undefined, 0, offset, count);
  }

  /** Allocates a cluster with the content that it reads as now; nothing if it is allocated. For inflate. */
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
      if (this.#gate.isFrozen(behind.slot)) yield* wait(this.#gate.queue(behind.slot));
    }
  }

  /** EBUSY when this thread must not stop, because what it would wait for may wait for operations of this channel. */
  requireMayBlock(): void {
    this.#gate.requireMayBlock();
  }

  /** Runs the operations that queued while a blob was frozen, in order. */
  thaw(slot: number): void {
    this.#gate.thaw(slot);
  }

  /** Closes the channel to what is behind an external clone, if there is one. */
  closeExternal(slot: number): void {
    this.#externals.close(slot);
  }

  /** Ends the channel: queued operations fail with EIO, those under way are waited for. Twice is once. */
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
   * The shortest way: a transfer within one allocated cluster of a blob that is not frozen. Answers false, with nothing done,
   * when it is anything else; the long way finds out what, and checks the arguments for errors. The device checks the range
   * of the buffer.
   */
  #fastPath(
    isWrite: boolean,
    slot: number,
    generation: number,
    buffer: Uint8Array,
    bufferOffset: number,
    offset: number,
    count: number,
  ): boolean {
    // What is no number would be taken for one here.
    if (typeof offset !== 'number' || typeof count !== 'number' || typeof slot !== 'number') return false;
    const cluster = Math.floor(offset / this.#ioUnitsPerCluster);
    const within = offset - cluster * this.#ioUnitsPerCluster;
    if (!this.#hasFastPath || !(within >= 0 && count > 0 && within + count <= this.#ioUnitsPerCluster)) return false;
    // Whoever freezes blobs runs on the metadata thread, and there not before the transfer is over.
    if (!this.#isCounted)
      return this.#fastPathInside(isWrite, slot, generation, buffer, bufferOffset, cluster, within, count);
    this.#life?.glance();
    if (!this.#blobs.hasSlot(slot)) return false; // it has no frozen count to look at
    if (this.#gate.depth > 0) return false; // a queued transfer of this blob goes first, even if the blob is thawed already
    if (!this.#gate.tryEnter(slot)) return false;
    try {
      return this.#fastPathInside(isWrite, slot, generation, buffer, bufferOffset, cluster, within, count);
    } finally {
      this.#gate.leave(slot);
    }
  }

  #fastPathInside(
    isWrite: boolean,
    slot: number,
    generation: number,
    buffer: Uint8Array,
    bufferOffset: number,
    cluster: number,
    within: number,
    count: number,
  ): boolean {
    const map = this.#blobs.admit(slot, generation, cluster, isWrite);
    if (map === NOT_ADMITTED) return false;
    const entry = this.#maps.peek(map + cluster);
    if (entry === 0) return false;
    const lba = entry * this.#blocksPerCluster + within * this.#blocksPerIoUnit;
    const blocks = count * this.#blocksPerIoUnit;
    try {
      if (isWrite) void this.#device.write(buffer, bufferOffset, lba, blocks);
      else void this.#device.read(buffer, bufferOffset, lba, blocks);
    } catch (error) {
      throw coded(error, isWrite ? 'write' : 'read');
    }
    return true;
  }
}
