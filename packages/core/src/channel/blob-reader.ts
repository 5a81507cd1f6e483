/**
 * Reads a part of a blob, within one cluster: from the blob's own cluster, or from what is behind it, through any
 * number of snapshots. Allocates no objects where devices are synchronous and no blob is frozen.
 */

import type { DeviceChannel } from '../device/block-device.js';
import { BLOB } from '../shared/layout.js';
import { type MaybePromise, type Steps, wait } from '../steps/steps.js';
import { assert, BlobstoreError } from '../units/error.js';
import type { BlobCluster } from '../units/units.js';
import { type BehindBlobs, READS_EXTERNAL, READS_ZEROES } from './behind-blobs.js';
import type { ExternalChannel, ExternalChannels } from './external-channels.js';
import type { ChannelHost } from './host.js';
import { lookUpCluster, OP } from './operation.js';
import { bufferGone } from './scatter.js';
import { Transfer } from './transfer.js';

/** Runs the read transfers of one channel. */
export class BlobReader {
  readonly #host: ChannelHost;
  readonly #behind: BehindBlobs;
  readonly #device: DeviceChannel;
  readonly #externals: ExternalChannels;

  constructor(host: ChannelHost, behind: BehindBlobs, device: DeviceChannel, externals: ExternalChannels) {
    this.#host = host;
    this.#behind = behind;
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
   * Reads a part of a blob; the caller is inside it until the transfer has ended.
   * @param own - false to read what is behind the blob, even if the blob has allocated the cluster
   */
  #read(transfer: Transfer, own: boolean): MaybePromise<void> {
    const { shared } = this.#host;
    const { slot, cluster } = transfer;
    // After shrinking, the map of a blob can still have clusters past the end of the blob.
    const isPastEnd = cluster >= shared.blobs.load(slot, BLOB.CLUSTER_COUNT) >>> 0;
    const entry = own && !isPastEnd ? lookUpCluster(shared, slot, cluster) : 0;
    if (entry !== 0) return this.#moveOwn(transfer, entry);
    if (isPastEnd) return this.#zeroFill(transfer);
    const found = this.#behind.find(slot, cluster);
    if (found === READS_ZEROES) return this.#zeroFill(transfer);
    return found === READS_EXTERNAL
      ? this.#readExternal(transfer, this.#behind.externalSlot)
      : this.#moveOwn(transfer, found);
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
