/**
 * Reading of a part of a blob, within one cluster: from the blob's own cluster, or from what is behind it, through any number
 * of snapshots. Makes no object where devices are synchronous and no blob is frozen.
 */

import type { DeviceChannel } from '../device/block-device.js';
import { BACK, BLOB } from '../shared/layout.js';
import { type MaybePromise, type Steps, wait } from '../steps/steps.js';
import { BlobstoreError } from '../units/error.js';
import type { BlobCluster } from '../units/units.js';
import { type BlobGate, FrozenBehind } from './blob-gate.js';
import type { ExternalChannel, ExternalChannels } from './external-channels.js';
import type { ChannelHost } from './host.js';
import { lookUpCluster, OP, type Op, type Payload, requireSameBlob } from './operation.js';
import type { ScatterList } from './scatter.js';

export class BlobReader {
  readonly #host: ChannelHost;
  readonly #gate: BlobGate;
  readonly #device: DeviceChannel;
  readonly #externals: ExternalChannels;

  constructor(host: ChannelHost, gate: BlobGate, device: DeviceChannel, externals: ExternalChannels) {
    this.#host = host;
    this.#gate = gate;
    this.#device = device;
    this.#externals = externals;
  }

  /** Reads a part of a blob from outside: goes in, or queues if it is frozen. */
  readPart(
    op: Op,
    slot: number,
    generation: number,
    payload: Payload,
    bufferOffset: number,
    offset: number,
    count: number,
    blocking: boolean,
  ): MaybePromise<void> {
    if (!this.#gate.tryEnter(slot)) {
      const again = this.#again(op, slot, generation, payload, bufferOffset, offset, count, blocking);
      return this.#gate.whenThawed(slot, blocking, again);
    }
    let pending: MaybePromise<void>;
    try {
      requireSameBlob(this.#host.shared, slot, generation);
      pending = this.#readInside(op, slot, true, payload, bufferOffset, offset, count, blocking);
    } catch (error) {
      this.#gate.leave(slot);
      if (!(error instanceof FrozenBehind)) throw error;
      const again = this.#again(op, slot, generation, payload, bufferOffset, offset, count, blocking);
      return this.#gate.whenThawedBehind(error, blocking, again);
    }
    if (pending !== undefined) {
      const again = this.#again(op, slot, generation, payload, bufferOffset, offset, count, blocking);
      return this.#gate.leaveAfter(slot, pending, again);
    }
    this.#gate.leave(slot);
    return undefined;
  }

  /** A new buffer with what a whole cluster reads as that the blob has not allocated. Inside the blob. */
  *readWholeBehind(slot: number, cluster: BlobCluster): Steps<Uint8Array> {
    const { geometry } = this.#host;
    const buffer = new Uint8Array(geometry.clusterBytes);
    const offset = geometry.clusterToIoUnit(cluster);
    yield* wait(this.#readInside(OP.READ, slot, false, buffer, 0, offset, geometry.ioUnitsPerCluster, false));
    return buffer;
  }

  /** What reads a part once more, from outside. */
  #again(
    op: Op,
    slot: number,
    generation: number,
    payload: Payload,
    bufferOffset: number,
    offset: number,
    count: number,
    blocking: boolean,
  ): () => MaybePromise<void> {
    return () => this.readPart(op, slot, generation, payload, bufferOffset, offset, count, blocking);
  }

  /**
   * Reads a part of a blob that the caller is inside. Goes through the snapshots behind it in a loop, since there may be more of
   * them than fit any stack, and is inside all of them until the transfer has ended.
   * @param own - false: what is behind the blob, whether it has the cluster or not
   */
  #readInside(
    op: Op,
    slot: number,
    own: boolean,
    payload: Payload,
    bufferOffset: number,
    offset: number,
    count: number,
    blocking: boolean,
  ): MaybePromise<void> {
    const { geometry, shared } = this.#host;
    const { blobs } = shared;
    const cluster = Math.floor(offset / geometry.ioUnitsPerCluster);
    let at = slot;
    let entry = 0;
    let depth = 0;
    let pending: MaybePromise<void>;
    try {
      for (;;) {
        // A clone may be longer than its snapshot.
        const isPastEnd = cluster >= blobs.load(at, BLOB.CLUSTER_COUNT) >>> 0;
        if (!isPastEnd && (own || depth > 0)) entry = lookUpCluster(shared, at, cluster);
        const backKind = isPastEnd ? BACK.ZEROES : blobs.load(at, BLOB.BACK_KIND);
        if (entry === 0 && backKind === BACK.BLOB) {
          const behind = blobs.load(at, BLOB.BACK_SLOT);
          this.#gate.enterBehind(behind);
          at = behind;
          depth++;
          continue;
        }
        if (entry !== 0) pending = this.#readCluster(op, entry, cluster, payload, bufferOffset, offset, count);
        else if (backKind === BACK.ZEROES) pending = zeroFill(payload, bufferOffset, count * geometry.ioUnitBytes);
        else pending = this.#readExternal(op, at, payload, bufferOffset, offset, count, blocking);
        break;
      }
    } catch (error) {
      this.#leaveBehind(slot, depth);
      throw error;
    }
    if (depth === 0) return pending;
    if (pending !== undefined) return this.#leaveBehindAfter(pending, slot, depth);
    this.#leaveBehind(slot, depth);
    return undefined;
  }

  /** Goes out of the `depth` snapshots behind a blob: what is behind one is looked up while still inside. */
  #leaveBehind(slot: number, depth: number): void {
    const { blobs } = this.#host.shared;
    let at = slot;
    for (let left = 0; left < depth; left++) {
      const behind = blobs.load(at, BLOB.BACK_SLOT);
      if (left > 0) this.#gate.leave(at);
      at = behind;
    }
    if (depth > 0) this.#gate.leave(at);
  }

  async #leaveBehindAfter(pending: Promise<void>, slot: number, depth: number): Promise<void> {
    try {
      await pending;
    } finally {
      this.#leaveBehind(slot, depth);
    }
  }

  #readCluster(
    op: Op,
    entry: number,
    cluster: number,
    payload: Payload,
    bufferOffset: number,
    offset: number,
    count: number,
  ): MaybePromise<void> {
    const { geometry } = this.#host;
    const within = offset - cluster * geometry.ioUnitsPerCluster;
    const lba = entry * geometry.blocksPerCluster + within * geometry.blocksPerIoUnit;
    const blocks = count * geometry.blocksPerIoUnit;
    if (op === OP.READ) return this.#device.read(payload as Uint8Array, bufferOffset, lba, blocks);
    const { buffers, options } = payload as ScatterList;
    return this.#device.readv(buffers, lba, blocks, options);
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
    const external = this.#externals.get(slot);
    if (!(external instanceof Promise))
      return this.#readFrom(external, op, payload, bufferOffset, offset, count, blocking);
    if (blocking) throw asynchronousExternal();
    return external.then((found) => this.#readFrom(found, op, payload, bufferOffset, offset, count, false));
  }

  #readFrom(
    { device, channel }: ExternalChannel,
    op: Op,
    payload: Payload,
    bufferOffset: number,
    offset: number,
    count: number,
    blocking: boolean,
  ): MaybePromise<void> {
    if (blocking && !device.synchronous) throw asynchronousExternal();
    const blocksPerIoUnit = this.#host.geometry.ioUnitBytes / device.blockLengthBytes;
    const lba = offset * blocksPerIoUnit;
    const blocks = count * blocksPerIoUnit;
    if (lba + blocks > device.blockCount) {
      const asked = `blocks ${lba} to ${lba + blocks} were asked for`;
      throw new BlobstoreError('EIO', `the external snapshot ends at block ${device.blockCount}, ${asked}`);
    }
    if (op === OP.READ) return channel.read(payload as Uint8Array, bufferOffset, lba, blocks);
    const { buffers, options } = payload as ScatterList;
    return channel.readv(buffers, lba, blocks, options);
  }
}

function asynchronousExternal(): BlobstoreError {
  return new BlobstoreError('ENOTSUP', 'the external snapshot is asynchronous: use the promise form of this call');
}

function zeroFill(payload: Payload, bufferOffset: number, bytes: number): undefined {
  if (payload instanceof Uint8Array) payload.fill(0, bufferOffset, bufferOffset + bytes);
  else for (const buffer of payload?.buffers ?? []) buffer.fill(0);
  return undefined;
}
