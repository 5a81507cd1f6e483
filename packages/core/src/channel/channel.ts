/**
 * A channel: one thread's way to the data of a store's blobs. Each operation is checked, taken apart at cluster boundaries,
 * and each part looked up in the shared cluster map and sent to the device, right on the calling thread.
 *
 * The `…Sync` forms need synchronous devices; reading then makes no object and no promise. The promise forms work on all.
 * Offsets and lengths are in io units. One thread uses a channel.
 */

import type { DeviceChannel, RequestOptions } from '../device/block-device.js';
import { type BlobBlocks, NOT_ADMITTED } from '../shared/blob-blocks.js';
import { BLOB, BLOB_FLAG } from '../shared/layout.js';
import type { MapArena } from '../shared/map-arena.js';
import type { StoreLife } from '../shared/store-life.js';
import { type MaybePromise, type Steps, wait } from '../steps/steps.js';
import { assert, BlobstoreError, coded } from '../units/error.js';
import type { BlobCluster } from '../units/units.js';
import { BlobGate, FrozenBehind } from './blob-gate.js';
import { BlobReader } from './blob-reader.js';
import { BlobWriter } from './blob-writer.js';
import { ClusterAllocator } from './cluster-allocator.js';
import { ExternalChannels } from './external-channels.js';
import type { BlobRef, ChannelHost } from './host.js';
import { DOING, OP, type Op, type Payload, pastTheEnd, readOnly, requireSameBlob } from './operation.js';
import { isBytes, requireScatterLength, ScatterCursor, type ScatterList } from './scatter.js';

export class Channel {
  readonly #host: ChannelHost;
  readonly #device: DeviceChannel;
  readonly #gate: BlobGate;
  readonly #externals: ExternalChannels;
  readonly #reader: BlobReader;
  readonly #allocator: ClusterAllocator;
  readonly #writer: BlobWriter;
  readonly #blobs: BlobBlocks;
  readonly #maps: MapArena;
  readonly #life: StoreLife | undefined;
  readonly #isSynchronous: boolean;
  /** Transfers are counted, because those who freeze blobs run at the same time. */
  readonly #isCounted: boolean;
  #hasFastPath: boolean;
  readonly #ioUnitsPerCluster: number;
  readonly #blocksPerCluster: number;
  readonly #blocksPerIoUnit: number;
  #outstanding = 0;
  #idleWaiters: (() => void)[] = [];
  #closed = false;

  constructor(host: ChannelHost) {
    this.#host = host;
    this.#gate = new BlobGate(host);
    this.#device = host.device.openChannel();
    this.#externals = new ExternalChannels(host);
    this.#reader = new BlobReader(host, this.#gate, this.#device, this.#externals);
    this.#allocator = new ClusterAllocator(host, this.#gate, this.#device, this.#reader);
    this.#writer = new BlobWriter(host, this.#gate, this.#device, this.#allocator);
    this.#blobs = host.shared.blobs;
    this.#maps = host.shared.maps;
    this.#life = host.shared.life;
    this.#isSynchronous = host.device.synchronous;
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
    return this.#outstanding;
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
    return isRef(blob) && this.#transferNow(false, blob.slot, blob.generation, buffer, bufferOffset, offset, count);
  }

  /** As `writeSync`; otherwise as `tryReadNow`. */
  tryWriteNow(blob: BlobRef, buffer: Uint8Array, offset: number, count: number, bufferOffset = 0): boolean {
    return isRef(blob) && this.#transferNow(true, blob.slot, blob.generation, buffer, bufferOffset, offset, count);
  }

  /**
   * Reads `count` io units from `offset` on into `buffer`, from byte `bufferOffset` on.
   * @throws EINVAL outside the blob or the buffer, EIO of the device, EBADF closed, ENOTSUP asynchronous device.
   */
  readSync(blob: BlobRef, buffer: Uint8Array, offset: number, count: number, bufferOffset = 0): void {
    if (this.tryReadNow(blob, buffer, offset, count, bufferOffset)) return;
    this.#runSync(OP.READ, blob, buffer, bufferOffset, offset, count);
  }

  /** Writes; otherwise as `readSync`. Also EPERM read-only, ENOSPC no cluster left for a thin blob. */
  writeSync(blob: BlobRef, buffer: Uint8Array, offset: number, count: number, bufferOffset = 0): void {
    if (this.tryWriteNow(blob, buffer, offset, count, bufferOffset)) return;
    this.#runSync(OP.WRITE, blob, buffer, bufferOffset, offset, count);
  }

  /** Reads into buffers one after another; their lengths add up to `count` io units. The device is given `options`. */
  readvSync(
    blob: BlobRef,
    buffers: readonly Uint8Array[],
    offset: number,
    count: number,
    options?: RequestOptions,
  ): void {
    this.#runSync(OP.READV, blob, { buffers, options }, 0, offset, count);
  }

  /** Writes from buffers one after another; their lengths add up to `count` io units. The device is given `options`. */
  writevSync(
    blob: BlobRef,
    buffers: readonly Uint8Array[],
    offset: number,
    count: number,
    options?: RequestOptions,
  ): void {
    this.#runSync(OP.WRITEV, blob, { buffers, options }, 0, offset, count);
  }

  /** Makes io units read as zeroes; unallocated clusters are allocated. */
  writeZeroesSync(blob: BlobRef, offset: number, count: number): void {
    this.#runSync(OP.WRITE_ZEROES, blob, undefined, 0, offset, count);
  }

  /**
   * Makes allocated io units read as zeroes, and gives whole clusters back where nothing behind the blob would show through.
   * Unallocated clusters stay as they are.
   */
  unmapSync(blob: BlobRef, offset: number, count: number): void {
    this.#runSync(OP.UNMAP, blob, undefined, 0, offset, count);
  }

  /** As `readSync`; waits where it must. ENOMEM when the channel has as many requests as it takes. */
  read(blob: BlobRef, buffer: Uint8Array, offset: number, count: number, bufferOffset = 0): Promise<void> {
    return this.#runAsync(OP.READ, blob, buffer, bufferOffset, offset, count);
  }

  /** As `writeSync`; waits where it must. */
  write(blob: BlobRef, buffer: Uint8Array, offset: number, count: number, bufferOffset = 0): Promise<void> {
    return this.#runAsync(OP.WRITE, blob, buffer, bufferOffset, offset, count);
  }

  /** As `readvSync`; waits where it must. */
  readv(
    blob: BlobRef,
    buffers: readonly Uint8Array[],
    offset: number,
    count: number,
    options?: RequestOptions,
  ): Promise<void> {
    return this.#runAsync(OP.READV, blob, { buffers, options }, 0, offset, count);
  }

  /** As `writevSync`; waits where it must. */
  writev(
    blob: BlobRef,
    buffers: readonly Uint8Array[],
    offset: number,
    count: number,
    options?: RequestOptions,
  ): Promise<void> {
    return this.#runAsync(OP.WRITEV, blob, { buffers, options }, 0, offset, count);
  }

  /** As `writeZeroesSync`; waits where it must. */
  writeZeroes(blob: BlobRef, offset: number, count: number): Promise<void> {
    return this.#runAsync(OP.WRITE_ZEROES, blob, undefined, 0, offset, count);
  }

  /** As `unmapSync`; waits where it must. */
  unmap(blob: BlobRef, offset: number, count: number): Promise<void> {
    return this.#runAsync(OP.UNMAP, blob, undefined, 0, offset, count);
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
      yield* wait(this.#gate.whenThawedBehind(behind, false, () => undefined));
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
    if (this.#closed) return;
    this.#closed = true;
    this.#hasFastPath = false;
    this.#gate.end(new BlobstoreError('EIO', 'the channel was closed meanwhile'));
    while (this.#outstanding > 0) yield new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
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
  #transferNow(
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
      return this.#transfer(isWrite, slot, generation, buffer, bufferOffset, cluster, within, count);
    this.#life?.glance();
    if (!this.#blobs.hasSlot(slot)) return false; // nobody could leave it again
    if (this.#gate.depth > 0) return false; // what queued for the blob goes first, also when it has just been thawed
    if (!this.#gate.tryEnter(slot)) return false;
    try {
      return this.#transfer(isWrite, slot, generation, buffer, bufferOffset, cluster, within, count);
    } finally {
      this.#gate.leave(slot);
    }
  }

  #transfer(
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

  #runSync(op: Op, blob: BlobRef, payload: Payload, bufferOffset: number, offset: number, count: number): void {
    if (!this.#isSynchronous) {
      throw new BlobstoreError('ENOTSUP', 'the device is asynchronous: use the promise form of this call');
    }
    this.#check(op, blob, payload, bufferOffset, offset, count);
    let pending: MaybePromise<void>;
    try {
      pending = this.#runParts(op, blob, payload, bufferOffset, offset, count, true);
    } catch (error) {
      throw coded(error, DOING[op]);
    }
    assert(pending === undefined, 'a synchronous operation has left something to wait for');
  }

  async #runAsync(
    op: Op,
    blob: BlobRef,
    payload: Payload,
    bufferOffset: number,
    offset: number,
    count: number,
  ): Promise<void> {
    this.#check(op, blob, payload, bufferOffset, offset, count);
    const { channelOpsMax } = this.#host;
    if (this.#outstanding >= channelOpsMax) {
      throw new BlobstoreError('ENOMEM', `the channel has ${channelOpsMax} requests under way already: wait for some`);
    }
    this.#outstanding++;
    try {
      const pending = this.#runParts(op, blob, payload, bufferOffset, offset, count, false);
      if (pending !== undefined) await pending;
    } catch (error) {
      throw coded(error, DOING[op]);
    } finally {
      this.#outstanding--;
      if (this.#outstanding === 0) this.#wakeIdleWaiters();
    }
  }

  #wakeIdleWaiters(): void {
    const waiters = this.#idleWaiters;
    this.#idleWaiters = [];
    for (const resolve of waiters) resolve();
  }

  #check(op: Op, blob: BlobRef, payload: Payload, bufferOffset: number, offset: number, count: number): void {
    const blobs = this.#blobs;
    if (this.#closed) throw new BlobstoreError('EBADF', 'the channel is closed');
    if (!isRef(blob)) throw new BlobstoreError('EINVAL', 'the first argument must be an open blob');
    this.#life?.glance();
    const { slot } = blob;
    if (!blobs.hasSlot(slot)) throw new BlobstoreError('EBADF', 'the blob is not open in this store');
    requireSameBlob(this.#host.shared, slot, blob.generation);
    if (op >= OP.WRITE && (blobs.load(slot, BLOB.FLAGS) & BLOB_FLAG.DATA_RO) !== 0) throw readOnly();
    if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(count) || offset < 0 || count < 0) {
      throw badPlace(offset, count);
    }
    const { ioUnitsPerCluster, ioUnitBytes } = this.#host.geometry;
    const ioUnitCount = (blobs.load(slot, BLOB.CLUSTER_COUNT) >>> 0) * ioUnitsPerCluster;
    if (count !== 0 && offset + count > ioUnitCount) {
      requireSameBlob(this.#host.shared, slot, blob.generation); // closed since the first look, it has no io units
      throw pastTheEnd(offset, count, ioUnitCount);
    }
    if (op === OP.READ || op === OP.WRITE) {
      const buffer = payload as Uint8Array;
      if (!isBytes(buffer)) throw new BlobstoreError('EINVAL', 'the buffer must be a Uint8Array');
      const isWithin = Number.isSafeInteger(bufferOffset) && bufferOffset >= 0;
      if (!isWithin || bufferOffset + count * ioUnitBytes > buffer.length) {
        throw tooSmall(buffer.length, bufferOffset, count * ioUnitBytes);
      }
    } else if (op === OP.READV || op === OP.WRITEV) {
      requireScatterLength((payload as ScatterList).buffers, count * ioUnitBytes);
    }
  }

  /** Runs an operation part by part; a part never crosses a cluster boundary. */
  #runParts(
    op: Op,
    blob: BlobRef,
    payload: Payload,
    bufferOffset: number,
    offset: number,
    count: number,
    blocking: boolean,
  ): MaybePromise<void> {
    const { ioUnitsPerCluster, ioUnitBytes } = this.#host.geometry;
    const isVector = op === OP.READV || op === OP.WRITEV;
    const cursor = isVector ? new ScatterCursor(payload as ScatterList) : undefined;
    let at = offset;
    let bytesAt = bufferOffset;
    const end = offset + count;
    while (at < end) {
      const boundary = (Math.floor(at / ioUnitsPerCluster) + 1) * ioUnitsPerCluster;
      const length = boundary < end ? boundary - at : end - at;
      const part = cursor === undefined ? payload : cursor.take(length * ioUnitBytes);
      const pending = this.#runPart(op, blob.slot, blob.generation, part, bytesAt, at, length, blocking);
      at += length;
      bytesAt += length * ioUnitBytes;
      if (pending !== undefined) return this.#runRest(pending, op, blob, payload, cursor, bytesAt, at, end);
    }
    return undefined;
  }

  /** Goes on with an operation when a part had to be waited for. */
  async #runRest(
    pending: Promise<void>,
    op: Op,
    blob: BlobRef,
    payload: Payload,
    cursor: ScatterCursor | undefined,
    bufferOffset: number,
    offset: number,
    end: number,
  ): Promise<void> {
    const { ioUnitsPerCluster, ioUnitBytes } = this.#host.geometry;
    await pending;
    let bytesAt = bufferOffset;
    for (let at = offset; at < end; ) {
      const boundary = (Math.floor(at / ioUnitsPerCluster) + 1) * ioUnitsPerCluster;
      const length = Math.min(boundary, end) - at;
      const part = cursor === undefined ? payload : cursor.take(length * ioUnitBytes);
      const next = this.#runPart(op, blob.slot, blob.generation, part, bytesAt, at, length, false);
      if (next !== undefined) await next;
      at += length;
      bytesAt += length * ioUnitBytes;
    }
  }

  #runPart(
    op: Op,
    slot: number,
    generation: number,
    payload: Payload,
    bufferOffset: number,
    offset: number,
    count: number,
    blocking: boolean,
  ): MaybePromise<void> {
    return op <= OP.READV
      ? this.#reader.readPart(op, slot, generation, payload, bufferOffset, offset, count, blocking)
      : this.#writer.changePart(op, slot, generation, payload, bufferOffset, offset, count, blocking);
  }
}

function isRef(blob: unknown): blob is BlobRef {
  return typeof blob === 'object' && blob !== null;
}

function badPlace(offset: unknown, count: unknown): BlobstoreError {
  if (typeof offset !== 'number' || typeof count !== 'number') {
    return new BlobstoreError('EINVAL', 'offset and length must be numbers of io units');
  }
  return new BlobstoreError('EINVAL', `offset ${offset} and length ${count} must be whole numbers from 0`);
}

function tooSmall(length: number, bufferOffset: unknown, bytes: number): BlobstoreError {
  if (typeof bufferOffset !== 'number')
    return new BlobstoreError('EINVAL', 'the offset in the buffer must be a number');
  return new BlobstoreError('EINVAL', `the operation moves ${bytes} bytes at ${bufferOffset} of a buffer of ${length}`);
}
