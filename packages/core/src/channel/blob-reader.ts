/**
 * Reads a part of a blob, within one cluster: from the blob's own cluster, or from what is behind it, through any
 * number of snapshots. Allocates no objects where devices are synchronous and no blob is frozen.
 */

import type { DeviceChannel } from '../device/block-device.js';
import { BACK, BLOB } from '../shared/layout.js';
import { type MaybePromise, type Steps, wait } from '../steps/steps.js';
import { assert, BlobstoreError } from '../units/error.js';
import type { BlobCluster } from '../units/units.js';
import type { BlobGate } from './blob-gate.js';
import type { ExternalChannel, ExternalChannels } from './external-channels.js';
import type { ChannelHost } from './host.js';
import { lookUpCluster, OP } from './operation.js';
import { bufferGone } from './scatter.js';
import { Transfer } from './transfer.js';

/** Runs the read transfers of one channel. */
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

  /**
   * Reads the part of a transfer. The caller is inside the blob. Throws `FrozenBehind` when a snapshot on the way to
   * the data is frozen.
   */
  readPart(transfer: Transfer): MaybePromise<void> {
    return this.#read(transfer, true);
  }

  /** Reads what a whole unallocated cluster reads as, into a new buffer. The caller is inside the blob. */
  *readWholeBehind(slot: number, cluster: BlobCluster): Steps<Uint8Array> {
    const { geometry } = this.#host;
    const buffer = new Uint8Array(geometry.clusterBytes);
    // Not from the free list: if these steps are run synchronously and cannot wait, they end while the read goes on.
    const transfer = new Transfer(geometry);
    const offset = geometry.clusterToIoUnit(cluster);
    transfer.begin(OP.READ, { slot, generation: 0 }, buffer, 0, offset, geometry.ioUnitsPerCluster, false);
    transfer.takePart();
    yield* wait(this.#read(transfer, false));
    return buffer;
  }

  /**
   * Reads a part of a blob; the caller is inside it. Walks the snapshots behind it in a loop, because there may be more
   * than a recursion has stack for. Is inside all of them until the transfer has ended.
   * @param own - false to read what is behind the blob, even if the blob has allocated the cluster
   */
  #read(transfer: Transfer, own: boolean): MaybePromise<void> {
    const { shared } = this.#host;
    const { blobs } = shared;
    const { slot, cluster } = transfer;
    let at = slot;
    let entry = 0;
    let depth = 0;
    let pending: MaybePromise<void>;
    try {
      for (;;) {
        // A clone may have more clusters than its snapshot.
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
        if (entry !== 0) pending = this.#moveOwn(transfer, entry);
        else if (backKind === BACK.ZEROES) pending = this.#zeroFill(transfer);
        else pending = this.#readExternal(transfer, at);
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

  /** Leaves the `depth` snapshots behind a blob. Looks up what is behind each one before it leaves it. */
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

  /** @param at - slot of the external clone: the blob itself, or a snapshot behind it */
  #readExternal(transfer: Transfer, at: number): MaybePromise<void> {
    const external = this.#externals.get(at);
    if (!(external instanceof Promise)) return this.#readFrom(external, transfer);
    if (transfer.blocking) throw asynchronousExternal();
    return external.then((found) => this.#readFrom(found, transfer));
  }

  #readFrom({ device, channel }: ExternalChannel, transfer: Transfer): MaybePromise<void> {
    if (transfer.blocking && !device.synchronous) throw asynchronousExternal();
    const blocksPerIoUnit = this.#host.geometry.ioUnitBytes / device.blockLengthBytes;
    const lba = transfer.offset * blocksPerIoUnit;
    const blocks = transfer.count * blocksPerIoUnit;
    if (lba + blocks > device.blockCount) {
      const asked = `blocks ${lba} to ${lba + blocks} were asked for`;
      throw new BlobstoreError('EIO', `the external snapshot ends at block ${device.blockCount}, ${asked}`);
    }
    return this.#move(channel, device.blockLengthBytes, transfer, lba, blocks);
  }

  #moveOwn(transfer: Transfer, entry: number): MaybePromise<void> {
    const { blockLengthBytes } = this.#host.device;
    return this.#move(this.#device, blockLengthBytes, transfer, transfer.lbaIn(entry), transfer.blockCount);
  }

  /** `lba` and `blocks` may be fractions, for a range of bytes. */
  #move(
    channel: DeviceChannel,
    blockBytes: number,
    transfer: Transfer,
    lba: number,
    blocks: number,
  ): MaybePromise<void> {
    const { buffer, bufferOffset, buffers, options } = transfer;
    if (buffer !== undefined) {
      if (Number.isInteger(lba) && Number.isInteger(blocks)) return channel.read(buffer, bufferOffset, lba, blocks);
      return readBytes(channel, blockBytes, buffer, bufferOffset, lba * blockBytes, blocks * blockBytes);
    }
    assert(buffers !== undefined, 'a read has nowhere to put its bytes');
    return channel.readv(buffers, lba, blocks, options);
  }

  #zeroFill({ buffer, bufferOffset, buffers, count }: Transfer): undefined {
    const bytes = count * this.#host.geometry.ioUnitBytes;
    if (buffer !== undefined) buffer.fill(0, bufferOffset, bufferOffset + bytes);
    else for (const each of buffers ?? []) each.fill(0);
    return undefined;
  }
}

/** Reads a range of bytes, through a new array of whole blocks if the device takes only those. */
function readBytes(
  channel: DeviceChannel,
  blockBytes: number,
  buffer: Uint8Array,
  bufferOffset: number,
  position: number,
  length: number,
): MaybePromise<void> {
  if (channel.readBytes) return channel.readBytes(buffer, bufferOffset, position, length);
  const lba = Math.floor(position / blockBytes);
  const within = position - lba * blockBytes;
  const blocks = Math.ceil((within + length) / blockBytes);
  const whole = new Uint8Array(blocks * blockBytes);
  const handOut = () => {
    if (bufferOffset + length > buffer.length) throw bufferGone();
    buffer.set(whole.subarray(within, within + length), bufferOffset);
  };
  const pending = channel.read(whole, 0, lba, blocks);
  if (pending !== undefined) return pending.then(handOut);
  return handOut();
}

function asynchronousExternal(): BlobstoreError {
  return new BlobstoreError('ENOTSUP', 'the external snapshot is asynchronous: use the promise form of this call');
}
