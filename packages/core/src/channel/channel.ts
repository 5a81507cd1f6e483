/**
 * A channel: one thread's way to the data of a store's blobs. Each operation is checked, taken apart at cluster boundaries,
 * and each part looked up in the shared cluster map and sent to the device, right on the calling thread.
 *
 * The `…Sync` forms need synchronous devices; reading then makes no object and no promise. The promise forms work on all.
 * Offsets and lengths are in io units. One thread uses a channel.
 */

import type { BlockDevice, DeviceChannel, MaybePromise } from '../device/block-device.js';
import { assert, BlobstoreError } from '../error.js';
import { type ClaimedCluster, claimCluster, unclaimCluster } from '../metadata/allocation.js';
import { extentPageIndex } from '../metadata/extent-pages.js';
import { run, runSync, type Steps, wait } from '../metadata/steps.js';
import type { BlobBlocks } from '../shared/blob-blocks.js';
import type { ChannelTable } from '../shared/channel-table.js';
import { BACK, BLOB, BLOB_FLAG } from '../shared/layout.js';
import type { MapArena } from '../shared/map-arena.js';
import type { BlobCluster, DeviceCluster } from '../units/units.js';
import type { BlobRef, ChannelHost } from './host.js';
import { requireScatterLength, ScatterCursor } from './scatter.js';

const OP = { READ: 0, READV: 1, WRITE: 2, WRITEV: 3, WRITE_ZEROES: 4, UNMAP: 5 } as const;
type Op = (typeof OP)[keyof typeof OP];
type Payload = Uint8Array | readonly Uint8Array[] | undefined;

/** An operation that met a frozen blob. */
interface FrozenOperation {
  slot: number;
  resume(): void;
  abort(error: BlobstoreError): void;
}

/** Who waits for the allocation of a cluster that is under way on this channel. */
interface Allocation {
  waiters: (() => void)[];
}

/** Where the old content of a cluster comes from that is about to be allocated. */
type ClusterSource = { kind: 'zeroes' } | { kind: 'read' } | { kind: 'device'; lba: number };

export class Channel {
  readonly #host: ChannelHost;
  readonly #device: DeviceChannel;
  readonly #isSynchronous: boolean;
  readonly #blobs: BlobBlocks;
  readonly #maps: MapArena;
  readonly #table: ChannelTable;
  readonly #row: number;
  readonly #ioUnitsPerCluster: number;
  readonly #blocksPerCluster: number;
  readonly #blocksPerIoUnit: number;
  readonly #externals = new Map<number, { device: BlockDevice; channel: DeviceChannel }>();
  readonly #allocations = new Map<number, Allocation>();
  #frozen: FrozenOperation[] = [];
  #outstanding = 0;
  #idleWaiters: (() => void)[] = [];
  #closed = false;

  constructor(host: ChannelHost) {
    this.#host = host;
    this.#row = host.shared.channels.claim(host.shared.threadId);
    this.#device = host.device.openChannel();
    this.#isSynchronous = host.device.synchronous;
    this.#blobs = host.shared.blobs;
    this.#maps = host.shared.maps;
    this.#table = host.shared.channels;
    this.#ioUnitsPerCluster = host.geometry.ioUnitsPerCluster;
    this.#blocksPerCluster = host.geometry.blocksPerCluster;
    this.#blocksPerIoUnit = host.geometry.blocksPerIoUnit;
  }

  /** Operations in promise form that have not ended. */
  get outstanding(): number {
    return this.#outstanding;
  }

  /** Operations that wait for a blob to be unfrozen. */
  get frozenDepth(): number {
    return this.#frozen.length;
  }

  /**
   * Reads `count` io units from `offset` on into `buffer`, from byte `bufferOffset` on.
   * @throws EINVAL outside the blob or the buffer, EIO of the device, EBADF closed, ENOTSUP asynchronous device.
   */
  readSync(blob: BlobRef, buffer: Uint8Array, offset: number, count: number, bufferOffset = 0): void {
    if (this.#fastPath(false, blob.slot, blob.generation, buffer, bufferOffset, offset, count)) return;
    this.#runSync(OP.READ, blob, buffer, bufferOffset, offset, count);
  }

  /** Writes; otherwise as `readSync`. Also EPERM read-only, ENOSPC no cluster left for a thin blob. */
  writeSync(blob: BlobRef, buffer: Uint8Array, offset: number, count: number, bufferOffset = 0): void {
    if (this.#fastPath(true, blob.slot, blob.generation, buffer, bufferOffset, offset, count)) return;
    this.#runSync(OP.WRITE, blob, buffer, bufferOffset, offset, count);
  }

  /** Reads into buffers one after another; their lengths add up to `count` io units. */
  readvSync(blob: BlobRef, buffers: readonly Uint8Array[], offset: number, count: number): void {
    this.#runSync(OP.READV, blob, buffers, 0, offset, count);
  }

  /** Writes from buffers one after another; their lengths add up to `count` io units. */
  writevSync(blob: BlobRef, buffers: readonly Uint8Array[], offset: number, count: number): void {
    this.#runSync(OP.WRITEV, blob, buffers, 0, offset, count);
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
  readv(blob: BlobRef, buffers: readonly Uint8Array[], offset: number, count: number): Promise<void> {
    return this.#runAsync(OP.READV, blob, buffers, 0, offset, count);
  }

  /** As `writevSync`; waits where it must. */
  writev(blob: BlobRef, buffers: readonly Uint8Array[], offset: number, count: number): Promise<void> {
    return this.#runAsync(OP.WRITEV, blob, buffers, 0, offset, count);
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
    yield* this.#enterSteps(blob.slot);
    try {
      yield* this.#allocateInside(blob.slot, index);
    } finally {
      this.#leave(blob.slot);
    }
  }

  /** Runs the operations that queued while a blob was frozen, in order. */
  thaw(slot: number): void {
    const ready = this.#frozen.filter((operation) => operation.slot === slot);
    if (ready.length === 0) return;
    this.#frozen = this.#frozen.filter((operation) => operation.slot !== slot);
    for (const operation of ready) operation.resume();
  }

  /** Closes the channel to what is behind an external clone, if there is one. */
  closeExternal(slot: number): void {
    const external = this.#externals.get(slot);
    this.#externals.delete(slot);
    external?.channel.close();
  }

  /** Ends the channel: queued operations fail with EIO, those under way are waited for. Twice is once. */
  *close(): Steps<void> {
    if (this.#closed) return;
    this.#closed = true;
    const queued = this.#frozen;
    this.#frozen = [];
    for (const operation of queued) operation.abort(new BlobstoreError('EIO', 'the channel was closed meanwhile'));
    while (this.#outstanding > 0) yield new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
    for (const slot of [...this.#externals.keys()]) this.closeExternal(slot);
    this.#host.shared.channels.release(this.#row);
    this.#device.close();
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
    const blobs = this.#blobs;
    const cluster = Math.floor(offset / this.#ioUnitsPerCluster);
    const within = offset - cluster * this.#ioUnitsPerCluster;
    if (!(within >= 0 && count > 0 && within + count <= this.#ioUnitsPerCluster) || this.#closed) return false;
    if (!this.#isSynchronous || !blobs.hasSeen(slot)) return false;
    this.#table.enter(this.#row, slot);
    try {
      if (!blobs.admits(slot, generation, cluster, isWrite)) return false;
      const entry = this.#maps.load(blobs.peek(slot, BLOB.MAP_OFFSET) + cluster);
      if (entry === 0) return false;
      const lba = entry * this.#blocksPerCluster + within * this.#blocksPerIoUnit;
      const blocks = count * this.#blocksPerIoUnit;
      if (isWrite) void this.#device.write(buffer, bufferOffset, lba, blocks);
      else void this.#device.read(buffer, bufferOffset, lba, blocks);
      return true;
    } finally {
      this.#leave(slot);
    }
  }

  #runSync(op: Op, blob: BlobRef, payload: Payload, bufferOffset: number, offset: number, count: number): void {
    if (!this.#isSynchronous) {
      throw new BlobstoreError('ENOTSUP', 'the device is asynchronous: use the promise form of this call');
    }
    this.#check(op, blob, payload, bufferOffset, offset, count);
    const pending = this.#runParts(op, blob, payload, bufferOffset, offset, count, true);
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
    const { slot } = blob;
    if (this.#closed) throw new BlobstoreError('EBADF', 'the channel is closed');
    this.#requireSame(slot, blob.generation);
    if (op >= OP.WRITE && (blobs.load(slot, BLOB.FLAGS) & BLOB_FLAG.DATA_RO) !== 0) throw readOnly();
    if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(count) || offset < 0 || count < 0) {
      throw new BlobstoreError('EINVAL', `offset ${offset} and length ${count} must be whole numbers from 0`);
    }
    const { ioUnitsPerCluster, ioUnitBytes } = this.#host.geometry;
    const ioUnitCount = (blobs.load(slot, BLOB.CLUSTER_COUNT) >>> 0) * ioUnitsPerCluster;
    if (count !== 0 && offset + count > ioUnitCount) throw pastTheEnd(offset, count, ioUnitCount);
    if (op === OP.READ || op === OP.WRITE) {
      const buffer = payload as Uint8Array;
      if (!(bufferOffset >= 0) || bufferOffset + count * ioUnitBytes > buffer.length) {
        throw tooSmall(buffer.length, bufferOffset, count * ioUnitBytes);
      }
    } else if (op === OP.READV || op === OP.WRITEV) {
      requireScatterLength(payload as readonly Uint8Array[], count * ioUnitBytes);
    }
  }

  #requireSame(slot: number, generation: number): void {
    if (this.#blobs.load(slot, BLOB.GENERATION) !== generation) {
      throw new BlobstoreError('EBADF', 'the blob was closed meanwhile');
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
    const cursor = isVector ? new ScatterCursor(payload as readonly Uint8Array[]) : undefined;
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

  /** Runs a part inside its blob, or queues it if the blob is frozen. `ANY_GENERATION` for a blob held open by a clone. */
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
    const blobs = this.#blobs;
    const channels = this.#table;
    channels.enter(this.#row, slot);
    if (blobs.load(slot, BLOB.FROZEN) !== 0) {
      this.#leave(slot);
      return this.#queuePart(op, slot, generation, payload, bufferOffset, offset, count, blocking);
    }
    let pending: MaybePromise<void>;
    try {
      if (generation !== ANY_GENERATION) this.#requireSame(slot, generation);
      pending =
        op <= OP.READV
          ? this.#readInside(op, slot, payload, bufferOffset, offset, count, blocking)
          : this.#changeInside(op, slot, payload, bufferOffset, offset, count, blocking);
    } catch (error) {
      this.#leave(slot);
      throw error;
    }
    if (pending === undefined) this.#leave(slot);
    else return this.#leaveAfter(slot, pending);
  }

  #queuePart(
    op: Op,
    slot: number,
    generation: number,
    payload: Payload,
    bufferOffset: number,
    offset: number,
    count: number,
    blocking: boolean,
  ): MaybePromise<void> {
    return this.#whenThawed(slot, blocking, () =>
      this.#runPart(op, slot, generation, payload, bufferOffset, offset, count, blocking),
    );
  }

  #leave(slot: number): void {
    const left = this.#table.leave(this.#row, slot);
    if (left === 0 && this.#blobs.load(slot, BLOB.FROZEN) !== 0) this.#host.metadata.drained();
  }

  async #leaveAfter(slot: number, pending: Promise<void>): Promise<void> {
    try {
      await pending;
    } finally {
      this.#leave(slot);
    }
  }

  /** Goes into a blob, waiting while it is frozen. */
  *#enterSteps(slot: number): Steps<void> {
    const blobs = this.#blobs;
    const channels = this.#table;
    for (;;) {
      channels.enter(this.#row, slot);
      if (blobs.load(slot, BLOB.FROZEN) === 0) return;
      this.#leave(slot);
      yield this.#whenThawed(slot, false, () => undefined) as Promise<void>;
    }
  }

  /** Queues what is to be done once a blob is no longer frozen. */
  #whenThawed(slot: number, blocking: boolean, start: () => MaybePromise<void>): MaybePromise<void> {
    if (blocking) {
      const reason = 'an operation of this thread, such as a snapshot, has frozen the blob';
      throw new BlobstoreError('EBUSY', `a synchronous call would wait for ever: ${reason}; use the promise form`);
    }
    return new Promise<void>((resolve, reject) => {
      const resume = () => {
        try {
          const pending = start();
          if (pending === undefined) resolve();
          else pending.then(resolve, reject);
        } catch (error) {
          reject(error);
        }
      };
      this.#frozen.push({ slot, resume, abort: reject });
    });
  }

  /** The device cluster of a blob's cluster, or 0. */
  #lookUp(slot: number, cluster: number): number {
    const blobs = this.#blobs;
    const maps = this.#maps;
    return maps.load((blobs.load(slot, BLOB.MAP_OFFSET) >>> 0) + cluster);
  }

  #readInside(
    op: Op,
    slot: number,
    payload: Payload,
    bufferOffset: number,
    offset: number,
    count: number,
    blocking: boolean,
  ): MaybePromise<void> {
    const { geometry, shared } = this.#host;
    const cluster = Math.floor(offset / geometry.ioUnitsPerCluster);
    if (cluster >= shared.blobs.load(slot, BLOB.CLUSTER_COUNT) >>> 0) {
      return zeroFill(payload, bufferOffset, count * geometry.ioUnitBytes); // a clone is longer than its snapshot
    }
    const entry = this.#lookUp(slot, cluster);
    if (entry === 0) return this.#readBehind(op, slot, payload, bufferOffset, offset, count, blocking);
    const within = offset - cluster * geometry.ioUnitsPerCluster;
    const lba = entry * geometry.blocksPerCluster + within * geometry.blocksPerIoUnit;
    const blocks = count * geometry.blocksPerIoUnit;
    if (op === OP.READ) return this.#device.read(payload as Uint8Array, bufferOffset, lba, blocks);
    return this.#device.readv(payload as readonly Uint8Array[], lba, blocks);
  }

  /** Reads what is behind an unallocated cluster. */
  #readBehind(
    op: Op,
    slot: number,
    payload: Payload,
    bufferOffset: number,
    offset: number,
    count: number,
    blocking: boolean,
  ): MaybePromise<void> {
    const blobs = this.#blobs;
    switch (blobs.load(slot, BLOB.BACK_KIND)) {
      case BACK.ZEROES:
        return zeroFill(payload, bufferOffset, count * this.#host.geometry.ioUnitBytes);
      case BACK.BLOB: {
        const behind = blobs.load(slot, BLOB.BACK_SLOT);
        return this.#runPart(op, behind, ANY_GENERATION, payload, bufferOffset, offset, count, blocking);
      }
      default:
        return this.#readExternal(op, slot, payload, bufferOffset, offset, count, blocking);
    }
  }

  #readExternal(
    op: Op,
    slot: number,
    payload: Payload,
    bufferOffset: number,
    offset: number,
    count: number,
    blocking: boolean,
  ): MaybePromise<void> {
    const { device, channel } = this.#external(slot);
    if (blocking && !device.synchronous) {
      throw new BlobstoreError('ENOTSUP', 'the external snapshot is asynchronous: use the promise form of this call');
    }
    const blocksPerIoUnit = this.#host.geometry.ioUnitBytes / device.blockLengthBytes;
    const lba = offset * blocksPerIoUnit;
    const blocks = count * blocksPerIoUnit;
    if (lba + blocks > device.blockCount) {
      throw new BlobstoreError(
        'EIO',
        `the external snapshot ends at block ${device.blockCount}, ${lba + blocks} was asked for`,
      );
    }
    if (op === OP.READ) return channel.read(payload as Uint8Array, bufferOffset, lba, blocks);
    return channel.readv(payload as readonly Uint8Array[], lba, blocks);
  }

  /** The channel to what is behind an external clone, opened when first needed. */
  #external(slot: number): { device: BlockDevice; channel: DeviceChannel } {
    const device = this.#host.externalDevice(slot);
    if (!device) throw new BlobstoreError('EIO', 'the external snapshot behind this blob is not open');
    const open = this.#externals.get(slot);
    if (open?.device === device) return open;
    open?.channel.close();
    const opened = { device, channel: device.openChannel() };
    this.#externals.set(slot, opened);
    return opened;
  }

  /** Writes, zeroes or unmaps a part. */
  #changeInside(
    op: Op,
    slot: number,
    payload: Payload,
    bufferOffset: number,
    offset: number,
    count: number,
    blocking: boolean,
  ): MaybePromise<void> {
    const { geometry, shared } = this.#host;
    const cluster = Math.floor(offset / geometry.ioUnitsPerCluster) as BlobCluster;
    const clusterCount = shared.blobs.load(slot, BLOB.CLUSTER_COUNT) >>> 0;
    if (cluster >= clusterCount) throw pastTheEnd(offset, count, clusterCount * geometry.ioUnitsPerCluster);
    if ((shared.blobs.load(slot, BLOB.FLAGS) & BLOB_FLAG.DATA_RO) !== 0) throw readOnly();
    const entry = this.#lookUp(slot, cluster);
    if (entry !== 0)
      return this.#changeAllocated(op, slot, payload, bufferOffset, offset, count, cluster, entry, blocking);
    if (op === OP.UNMAP) return undefined;
    const steps = this.#allocateAndChange(op, slot, payload, bufferOffset, offset, count, cluster);
    return blocking ? runSync(steps) : run(steps);
  }

  #changeAllocated(
    op: Op,
    slot: number,
    payload: Payload,
    bufferOffset: number,
    offset: number,
    count: number,
    cluster: BlobCluster,
    entry: number,
    blocking: boolean,
  ): MaybePromise<void> {
    const { geometry } = this.#host;
    const within = offset - cluster * geometry.ioUnitsPerCluster;
    const lba = entry * geometry.blocksPerCluster + within * geometry.blocksPerIoUnit;
    const blocks = count * geometry.blocksPerIoUnit;
    switch (op) {
      case OP.WRITE:
        return this.#device.write(payload as Uint8Array, bufferOffset, lba, blocks);
      case OP.WRITEV:
        return this.#device.writev(payload as readonly Uint8Array[], lba, blocks);
      case OP.WRITE_ZEROES:
        return this.#device.writeZeroes(lba, blocks);
      default:
        if (count === geometry.ioUnitsPerCluster && this.#isOverZeroes(slot)) {
          const steps = this.#releaseOutside(slot, this.#blobs.peek(slot, BLOB.GENERATION), cluster);
          return blocking ? runSync(steps) : run(steps);
        }
        return this.#device.unmap(lba, blocks);
    }
  }

  #isOverZeroes(slot: number): boolean {
    const blobs = this.#blobs;
    const isThin = (blobs.load(slot, BLOB.FLAGS) & BLOB_FLAG.THIN) !== 0;
    return isThin && blobs.load(slot, BLOB.BACK_KIND) === BACK.ZEROES;
  }

  /**
   * Asks for a cluster's release from outside the blob, since the metadata thread freezes it for that. Where another operation
   * is in the way it is waited for; where that one counts on the cluster, it is only unmapped.
   */
  *#releaseOutside(slot: number, generation: number, cluster: BlobCluster): Steps<void> {
    let isInside = false;
    this.#leave(slot);
    try {
      for (;;) {
        const outcome = yield* this.#host.metadata.releaseCluster({ slot, generation }, cluster);
        if (outcome === 'done') return;
        yield* this.#enterSteps(slot);
        isInside = true;
        if (outcome === 'locked') return yield* this.#unmapWhole(slot, cluster);
        this.#leave(slot);
        isInside = false;
      }
    } finally {
      if (!isInside) this.#table.enter(this.#row, slot); // the caller leaves it once more
    }
  }

  *#unmapWhole(slot: number, cluster: BlobCluster): Steps<void> {
    const { geometry } = this.#host;
    if (cluster >= this.#blobs.peek(slot, BLOB.CLUSTER_COUNT)) return;
    const entry = this.#lookUp(slot, cluster) as DeviceCluster;
    if (entry !== 0) yield* wait(this.#device.unmap(geometry.clusterToLba(entry), geometry.blocksPerCluster));
  }

  *#allocateAndChange(
    op: Op,
    slot: number,
    payload: Payload,
    bufferOffset: number,
    offset: number,
    count: number,
    cluster: BlobCluster,
  ): Steps<void> {
    yield* this.#allocateInside(slot, cluster);
    const blobs = this.#blobs;
    if ((blobs.load(slot, BLOB.FLAGS) & BLOB_FLAG.DATA_RO) !== 0) throw readOnly(); // the insertion may have synced that
    const entry = this.#lookUp(slot, cluster);
    assert(entry !== 0, 'an allocated cluster is not in the map');
    const pending = this.#changeAllocated(op, slot, payload, bufferOffset, offset, count, cluster, entry, false);
    if (pending !== undefined) yield pending;
  }

  /** Allocates a cluster, or waits for who is doing so on this channel. The blob must have been entered. */
  *#allocateInside(slot: number, cluster: BlobCluster): Steps<void> {
    const key = slot * 2 ** 32 + cluster;
    while (this.#lookUp(slot, cluster) === 0) {
      const underWay = this.#allocations.get(key);
      if (underWay) {
        yield new Promise<void>((resolve) => underWay.waiters.push(resolve));
        continue; // if that one failed, this operation tries itself
      }
      const allocation: Allocation = { waiters: [] };
      this.#allocations.set(key, allocation);
      try {
        yield* this.#copyOnWrite(slot, cluster);
      } finally {
        this.#allocations.delete(key);
        for (const resume of allocation.waiters) resume();
      }
    }
  }

  /**
   * Takes a cluster, copies into it what the blob's cluster reads as, and has it inserted. Three ways: nothing to copy where
   * zeroes are behind, a copy by the device, or a read and a write.
   */
  *#copyOnWrite(slot: number, cluster: BlobCluster): Steps<void> {
    const { metadata } = this.#host;
    const inside: number[] = [];
    let claimed: ClaimedCluster | undefined;
    let written = false;
    let inserted = false;
    try {
      const source = yield* this.#findSource(slot, cluster, inside);
      claimed = yield* this.#claim(slot, cluster);
      if (source.kind === 'device') {
        written = true;
        yield* this.#copyOnDevice(claimed.cluster, source.lba);
      } else if (source.kind === 'read') {
        this.#leaveAll(inside);
        const buffer = yield* this.#readWholeBehind(slot, cluster);
        written = true;
        yield* this.#writeWhole(claimed.cluster, buffer);
      }
      this.#leaveAll(inside);
      inserted = true; // also when it fails: the map may have it then
      if ((yield* metadata.insertCluster(slot, cluster, claimed)) === 'exists') inserted = false;
    } finally {
      this.#leaveAll(inside);
      if (claimed && !inserted) {
        if (written) yield* metadata.discardCluster(slot, claimed, written);
        else unclaimCluster(this.#host.shared, claimed);
      }
    }
  }

  *#claim(slot: number, cluster: BlobCluster): Steps<ClaimedCluster> {
    try {
      return claimCluster(this.#host.shared, this.#needsExtentPage(slot, cluster));
    } catch (error) {
      if (!(yield* this.#host.metadata.reclaim())) throw error;
    }
    return claimCluster(this.#host.shared, this.#needsExtentPage(slot, cluster));
  }

  #needsExtentPage(slot: number, cluster: BlobCluster): boolean {
    const blobs = this.#blobs;
    const maps = this.#maps;
    if ((blobs.load(slot, BLOB.FLAGS) & BLOB_FLAG.EXTENT_TABLE) === 0) return false;
    return maps.load((blobs.load(slot, BLOB.EXTENTS_OFFSET) >>> 0) + extentPageIndex(cluster)) === 0;
  }

  /**
   * Finds what a cluster reads as. Where the device can copy it, the snapshots on the way to it are entered, and listed in
   * `inside`: none may let go of the cluster before the copy is done.
   */
  *#findSource(slot: number, cluster: BlobCluster, inside: number[]): Steps<ClusterSource> {
    const blobs = this.#blobs;
    const canCopy = this.#host.device.canCopy;
    let at = slot;
    for (let kind = blobs.load(at, BLOB.BACK_KIND); kind === BACK.BLOB; kind = blobs.load(at, BLOB.BACK_KIND)) {
      const behind = blobs.load(at, BLOB.BACK_SLOT);
      yield* this.#enterSteps(behind);
      inside.push(behind);
      if (cluster >= blobs.load(behind, BLOB.CLUSTER_COUNT) >>> 0) return { kind: at === slot ? 'read' : 'zeroes' };
      const entry = this.#lookUp(behind, cluster);
      if (entry !== 0)
        return canCopy ? { kind: 'device', lba: entry * this.#host.geometry.blocksPerCluster } : { kind: 'read' };
      at = behind;
    }
    if (blobs.load(at, BLOB.BACK_KIND) === BACK.ZEROES) return { kind: 'zeroes' };
    return this.#externalSource(at, cluster, canCopy && at !== slot);
  }

  #externalSource(slot: number, cluster: BlobCluster, canCopy: boolean): ClusterSource {
    const device = this.#host.externalDevice(slot);
    if (!device) return { kind: 'read' };
    const blocks = this.#host.geometry.clusterBytes / device.blockLengthBytes;
    const lba = cluster * blocks;
    if (lba + blocks > device.blockCount) return { kind: 'read' };
    if (device.isZeroes?.(lba, blocks)) return { kind: 'zeroes' };
    const onStoreDevice = canCopy ? device.translateLba?.(lba) : undefined;
    return onStoreDevice === undefined ? { kind: 'read' } : { kind: 'device', lba: onStoreDevice };
  }

  *#copyOnDevice(target: DeviceCluster, sourceLba: number): Steps<void> {
    const { geometry } = this.#host;
    assert(this.#device.copy !== undefined, 'a device that can copy has no copy');
    yield* wait(this.#device.copy(geometry.clusterToLba(target), sourceLba, geometry.blocksPerCluster));
  }

  *#readWholeBehind(slot: number, cluster: BlobCluster): Steps<Uint8Array> {
    const { geometry } = this.#host;
    const buffer = new Uint8Array(geometry.clusterBytes);
    const offset = geometry.clusterToIoUnit(cluster);
    const pending = this.#readBehind(OP.READ, slot, buffer, 0, offset, geometry.ioUnitsPerCluster, false);
    if (pending !== undefined) yield pending;
    return buffer;
  }

  *#writeWhole(cluster: DeviceCluster, buffer: Uint8Array): Steps<void> {
    const { geometry } = this.#host;
    yield* wait(this.#device.write(buffer, 0, geometry.clusterToLba(cluster), geometry.blocksPerCluster));
  }

  #leaveAll(inside: number[]): void {
    for (const slot of inside) this.#leave(slot);
    inside.length = 0;
  }
}

/** For blobs that something holds open meanwhile. */
const ANY_GENERATION = -1;

function zeroFill(payload: Payload, bufferOffset: number, bytes: number): undefined {
  if (payload instanceof Uint8Array) payload.fill(0, bufferOffset, bufferOffset + bytes);
  else for (const buffer of payload ?? []) buffer.fill(0);
  return undefined;
}

function readOnly(): BlobstoreError {
  return new BlobstoreError('EPERM', 'the blob is read-only');
}

function pastTheEnd(offset: number, count: number, ioUnitCount: number): BlobstoreError {
  return new BlobstoreError(
    'EINVAL',
    `io units ${offset} to ${offset + count} are past the blob's end at ${ioUnitCount}`,
  );
}

function tooSmall(length: number, bufferOffset: number, bytes: number): BlobstoreError {
  return new BlobstoreError('EINVAL', `the operation moves ${bytes} bytes at ${bufferOffset} of a buffer of ${length}`);
}
