/** Changing of a part of a blob, within one cluster: writes, zeroes and unmaps. */

import type { DeviceChannel } from '../device/block-device.js';
import { BACK, BLOB, BLOB_FLAG } from '../shared/layout.js';
import { run, runSync } from '../steps/run.js';
import { type MaybePromise, type Steps, wait } from '../steps/steps.js';
import { assert } from '../units/error.js';
import type { BlobCluster, DeviceCluster } from '../units/units.js';
import { type BlobGate, FrozenBehind } from './blob-gate.js';
import type { ClusterAllocator } from './cluster-allocator.js';
import type { ChannelHost } from './host.js';
import { lookUpCluster, OP, type Op, type Payload, pastTheEnd, readOnly, requireSameBlob } from './operation.js';
import type { ScatterList } from './scatter.js';

export class BlobWriter {
  readonly #host: ChannelHost;
  readonly #gate: BlobGate;
  readonly #device: DeviceChannel;
  readonly #allocator: ClusterAllocator;

  constructor(host: ChannelHost, gate: BlobGate, device: DeviceChannel, allocator: ClusterAllocator) {
    this.#host = host;
    this.#gate = gate;
    this.#device = device;
    this.#allocator = allocator;
  }

  /** Changes a part of a blob from outside: goes in, or queues if it is frozen. */
  changePart(
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
      pending = this.#changeInside(op, slot, payload, bufferOffset, offset, count, blocking);
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

  /** What changes a part once more, from outside. */
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
    return () => this.changePart(op, slot, generation, payload, bufferOffset, offset, count, blocking);
  }

  /**
   * Where the cluster is being allocated for an earlier operation of this channel, a later one waits: the map can have the
   * cluster before that one has the answer and writes, and would be overtaken.
   */
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
    this.#requireWritable(slot);
    const allocated = blocking ? undefined : this.#allocator.whenEnded(slot, cluster);
    if (allocated !== undefined)
      return allocated.then(() => this.#changeInside(op, slot, payload, bufferOffset, offset, count, false));
    const entry = lookUpCluster(shared, slot, cluster);
    if (entry !== 0)
      return this.#changeAllocated(op, slot, payload, bufferOffset, offset, count, cluster, entry, blocking);
    if (op === OP.UNMAP) return undefined;
    const steps = this.#allocateAndChange(op, slot, payload, bufferOffset, offset, count, cluster, blocking);
    return blocking ? runSync(steps) : run(steps);
  }

  #requireWritable(slot: number): void {
    if ((this.#host.shared.blobs.load(slot, BLOB.FLAGS) & BLOB_FLAG.DATA_RO) !== 0) throw readOnly();
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
    const { geometry, shared } = this.#host;
    const within = offset - cluster * geometry.ioUnitsPerCluster;
    const lba = entry * geometry.blocksPerCluster + within * geometry.blocksPerIoUnit;
    const blocks = count * geometry.blocksPerIoUnit;
    switch (op) {
      case OP.WRITE:
        return this.#device.write(payload as Uint8Array, bufferOffset, lba, blocks);
      case OP.WRITEV: {
        const { buffers, options } = payload as ScatterList;
        return this.#device.writev(buffers, lba, blocks, options);
      }
      case OP.WRITE_ZEROES:
        return this.#device.writeZeroes(lba, blocks);
      default:
        if (count === geometry.ioUnitsPerCluster && this.#isOverZeroes(slot)) {
          const steps = this.#releaseOutside(slot, shared.blobs.peek(slot, BLOB.GENERATION), cluster, blocking);
          return blocking ? runSync(steps) : run(steps);
        }
        return this.#device.unmap(lba, blocks);
    }
  }

  *#allocateAndChange(
    op: Op,
    slot: number,
    payload: Payload,
    bufferOffset: number,
    offset: number,
    count: number,
    cluster: BlobCluster,
    blocking: boolean,
  ): Steps<void> {
    const change = (entry: number) =>
      this.#changeAllocated(op, slot, payload, bufferOffset, offset, count, cluster, entry, blocking);
    if (yield* this.#allocator.allocate(slot, cluster, blocking, change)) return;
    this.#requireWritable(slot); // the insertion may have synced that it no longer is
    const entry = lookUpCluster(this.#host.shared, slot, cluster);
    assert(entry !== 0, 'an allocated cluster is not in the map');
    yield* wait(change(entry));
  }

  #isOverZeroes(slot: number): boolean {
    const { blobs } = this.#host.shared;
    const isThin = (blobs.load(slot, BLOB.FLAGS) & BLOB_FLAG.THIN) !== 0;
    return isThin && blobs.load(slot, BLOB.BACK_KIND) === BACK.ZEROES;
  }

  /**
   * Asks for a cluster's release from outside the blob, since the metadata thread freezes it for that. Where another operation
   * is in the way it is waited for; where that one counts on the cluster, it is only unmapped.
   */
  *#releaseOutside(slot: number, generation: number, cluster: BlobCluster, blocking: boolean): Steps<void> {
    let isInside = false;
    this.#gate.leave(slot);
    try {
      if (blocking && !this.#host.isMetadataThread) this.#gate.requireMayBlock();
      for (;;) {
        const outcome = yield* this.#host.metadata.releaseCluster({ slot, generation }, cluster);
        if (outcome === 'done') return;
        yield* this.#gate.enterSteps(slot);
        isInside = true;
        if (outcome === 'locked') return yield* this.#unmapWhole(slot, generation, cluster);
        this.#gate.leave(slot);
        isInside = false;
      }
    } finally {
      if (!isInside) this.#gate.enter(slot); // the caller leaves it once more
    }
  }

  *#unmapWhole(slot: number, generation: number, cluster: BlobCluster): Steps<void> {
    const { geometry, shared } = this.#host;
    requireSameBlob(shared, slot, generation);
    if (cluster >= shared.blobs.peek(slot, BLOB.CLUSTER_COUNT)) return;
    const entry = lookUpCluster(shared, slot, cluster) as DeviceCluster;
    if (entry !== 0) yield* wait(this.#device.unmap(geometry.clusterToLba(entry), geometry.blocksPerCluster));
  }
}
