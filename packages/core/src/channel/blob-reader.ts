/**
 * Reading of a part of a blob, within one cluster: from the blob's own cluster, or from what is behind it, through any number
 * of snapshots. Makes no object where devices are synchronous and no blob is frozen.
 */

import type { DeviceChannel, MaybePromise } from '../device/block-device.js';
import { BlobstoreError } from '../error.js';
import { type Steps, wait } from '../metadata/steps.js';
import { BACK, BLOB } from '../shared/layout.js';
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
      pending = this.#readInside(op, slot, payload, bufferOffset, offset, count, blocking);
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

  /** Reads a part of a blob that is behind another one, which the caller is inside. */
  #readPartBehind(
    op: Op,
    slot: number,
    payload: Payload,
    bufferOffset: number,
    offset: number,
    count: number,
    blocking: boolean,
  ): MaybePromise<void> {
    this.#gate.enterBehind(slot);
    let pending: MaybePromise<void>;
    try {
      pending = this.#readInside(op, slot, payload, bufferOffset, offset, count, blocking);
    } catch (error) {
      this.#gate.leave(slot);
      throw error;
    }
    if (pending === undefined) this.#gate.leave(slot);
    else return pending.finally(() => this.#gate.leave(slot));
  }

  /** A new buffer with what a whole cluster reads as that the blob has not allocated. Inside the blob. */
  *readWholeBehind(slot: number, cluster: BlobCluster): Steps<Uint8Array> {
    const { geometry } = this.#host;
    const buffer = new Uint8Array(geometry.clusterBytes);
    const offset = geometry.clusterToIoUnit(cluster);
    yield* wait(this.#readBehind(OP.READ, slot, buffer, 0, offset, geometry.ioUnitsPerCluster, false));
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
    const entry = lookUpCluster(shared, slot, cluster);
    if (entry === 0) return this.#readBehind(op, slot, payload, bufferOffset, offset, count, blocking);
    const within = offset - cluster * geometry.ioUnitsPerCluster;
    const lba = entry * geometry.blocksPerCluster + within * geometry.blocksPerIoUnit;
    const blocks = count * geometry.blocksPerIoUnit;
    if (op === OP.READ) return this.#device.read(payload as Uint8Array, bufferOffset, lba, blocks);
    const { buffers, options } = payload as ScatterList;
    return this.#device.readv(buffers, lba, blocks, options);
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
    const { blobs } = this.#host.shared;
    switch (blobs.load(slot, BLOB.BACK_KIND)) {
      case BACK.ZEROES:
        return zeroFill(payload, bufferOffset, count * this.#host.geometry.ioUnitBytes);
      case BACK.BLOB: {
        const behind = blobs.load(slot, BLOB.BACK_SLOT);
        return this.#readPartBehind(op, behind, payload, bufferOffset, offset, count, blocking);
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
