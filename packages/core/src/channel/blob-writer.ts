/** Changes a part of a blob, within one cluster: writes, zeroes and unmaps. */

import type { DeviceChannel } from '../device/block-device.js';
import { BACK, BLOB, BLOB_FLAG } from '../shared/layout.js';
import { run, runSync } from '../steps/run.js';
import { type MaybePromise, type Steps, wait } from '../steps/steps.js';
import { assert } from '../units/error.js';
import type { BlobCluster, DeviceCluster } from '../units/units.js';
import type { BlobGate } from './blob-gate.js';
import type { ClusterAllocator } from './cluster-allocator.js';
import type { ChannelHost } from './host.js';
import { lookUpCluster, OP, pastTheEnd, readOnly, requireSameBlob } from './operation.js';
import type { Transfer } from './transfer.js';

/** Runs the changing transfers of one channel. */
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

  /**
   * Applies the change of a transfer's part. The caller is inside the blob. Throws `FrozenBehind` when a snapshot on
   * the way to data that must be copied is frozen.
   *
   * If the cluster is being allocated for an earlier transfer of this channel, a later transfer waits. The cluster can
   * be in the map before the earlier transfer has the reply and writes, and the later transfer could overtake it.
   */
  changePart(transfer: Transfer): MaybePromise<void> {
    const { slot, cluster, blocking } = transfer;
    if (blocking) return this.#changePart(transfer);
    return this.#allocator.onceEnded(slot, cluster, () => this.#changePart(transfer)) ?? this.#changePart(transfer);
  }

  #changePart(transfer: Transfer): MaybePromise<void> {
    const { geometry, shared } = this.#host;
    const { op, slot, cluster, blocking } = transfer;
    const clusterCount = shared.blobs.load(slot, BLOB.CLUSTER_COUNT) >>> 0;
    if (cluster >= clusterCount) {
      throw pastTheEnd(transfer.offset, transfer.count, clusterCount * geometry.ioUnitsPerCluster);
    }
    this.#requireWritable(slot);
    const entry = lookUpCluster(shared, slot, cluster);
    if (entry !== 0) return this.#changeAllocated(transfer, entry);
    if (op === OP.UNMAP) return undefined;
    const steps = this.#allocateAndChange(transfer);
    return blocking ? runSync(steps) : run(steps);
  }

  #requireWritable(slot: number): void {
    if ((this.#host.shared.blobs.load(slot, BLOB.FLAGS) & BLOB_FLAG.DATA_RO) !== 0) throw readOnly();
  }

  #changeAllocated(transfer: Transfer, entry: number): MaybePromise<void> {
    const { blockCount } = transfer;
    const lba = transfer.lbaIn(entry);
    switch (transfer.op) {
      case OP.WRITE:
        return this.#device.write(transfer.buffer as Uint8Array, transfer.bufferOffset, lba, blockCount);
      case OP.WRITEV:
        return this.#device.writev(transfer.buffers as readonly Uint8Array[], lba, blockCount, transfer.options);
      case OP.WRITE_BYTES:
        return this.#writeBytes(transfer, lba);
      case OP.WRITE_ZEROES:
        return this.#device.writeZeroes(lba, blockCount);
      default:
        if (transfer.count === this.#host.geometry.ioUnitsPerCluster && this.#isOverZeroes(transfer.slot)) {
          const steps = this.#releaseOutside(transfer);
          return transfer.blocking ? runSync(steps) : run(steps);
        }
        return this.#device.unmap(lba, blockCount);
    }
  }

  /** Writes a range of bytes; if it consists of whole blocks, by `write`. `lba` may be a fraction. */
  #writeBytes({ buffer, bufferOffset, blockCount }: Transfer, lba: number): MaybePromise<void> {
    const bytes = buffer as Uint8Array;
    if (Number.isInteger(lba) && Number.isInteger(blockCount)) {
      return this.#device.write(bytes, bufferOffset, lba, blockCount);
    }
    assert(this.#device.writeBytes !== undefined, 'a range of bytes for a device that takes only blocks');
    const { blockLengthBytes } = this.#host.device;
    return this.#device.writeBytes(bytes, bufferOffset, lba * blockLengthBytes, blockCount * blockLengthBytes);
  }

  *#allocateAndChange(transfer: Transfer): Steps<void> {
    const { slot, cluster, blocking } = transfer;
    const change = (entry: number) => this.#changeAllocated(transfer, entry);
    if (yield* this.#allocator.allocate(slot, cluster, blocking, change)) return;
    this.#requireWritable(slot); // the insertion may have synced the blob, and with that made it read-only
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
   * Requests the release of a cluster. Leaves the blob for that, because the metadata thread freezes it. If another
   * operation has the blob frozen, waits and tries again. If another operation relies on the blob's clusters
   * (`locked`), only unmaps the cluster.
   */
  *#releaseOutside({ slot, generation, cluster, blocking }: Transfer): Steps<void> {
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
      if (!isInside) this.#gate.enter(slot); // because the caller leaves the blob
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
