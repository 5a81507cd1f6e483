/**
 * Allocates a blob's cluster at its first write: claims a cluster, gives it the content that the blob's cluster reads
 * as (copy on write), and has the metadata thread insert it into the map. If several operations of a channel need the
 * same cluster, they wait for one allocation.
 */

import type { DeviceChannel } from '../device/block-device.js';
import { type ClaimedCluster, claimCluster, unclaimCluster } from '../shared/claim-cluster.js';
import { BACK, BLOB, BLOB_FLAG } from '../shared/layout.js';
import { type MaybePromise, type Steps, type Waitable, wait, waitFor } from '../steps/steps.js';
import { assert, BlobstoreError } from '../units/error.js';
import { extentPageIndex } from '../units/extent-pages.js';
import { type BlobCluster, type DeviceCluster, NONE_U32 } from '../units/units.js';
import type { BlobGate } from './blob-gate.js';
import type { BlobReader } from './blob-reader.js';
import type { ChannelHost } from './host.js';
import { lookUpCluster } from './operation.js';

/**
 * An allocation, and the operations that wait for its end. When it has ended, they go on in the order in which they
 * came, each after the one before it has begun. Until the last of them has begun, later operations wait behind them.
 */
interface Allocation {
  readonly waiters: ((turn: number) => void)[];
  hasEnded: boolean;
  /**
   * The number of the current turn, raised when the next operation may go on. An operation with an older number must
   * not raise it.
   */
  turn: number;
}

/** The source of the content of a cluster that is being allocated. */
type ClusterSource = { kind: 'zeroes' } | { kind: 'read' } | { kind: 'device'; lba: number };

/** Writes data to a device cluster, on a synchronous device. */
export type Fill = (cluster: DeviceCluster) => unknown;

/**
 * A write of data to a cluster that is not in a map yet. If the cluster is not inserted, it must be cleared, so that
 * the next blob that gets it cannot read the data.
 */
class Filling {
  hasBegun = false;
  readonly #cluster: DeviceCluster;
  readonly #fill: Fill;
  #failure: { readonly error: unknown } | undefined;

  constructor(cluster: DeviceCluster, fill: Fill) {
    this.#cluster = cluster;
    this.#fill = fill;
  }

  /** Runs the write. Keeps its error for `hasEnded`. */
  start(): void {
    this.hasBegun = true;
    try {
      this.#fill(this.#cluster);
    } catch (error) {
      this.#failure = { error };
    }
  }

  /** True once the data is written. Throws the error of the write, if it failed. */
  hasEnded(): boolean {
    if (this.#failure) throw this.#failure.error;
    return this.hasBegun;
  }
}

/**
 * Waits until an operation that waits for an allocation may go on. A synchronous call does not become a waiter: it could
 * not go on when its turn comes, and all operations behind it would wait for ever.
 */
function inTurn({ waiters }: Allocation): Waitable<number> {
  return {
    promise: () => new Promise((resolve) => waiters.push(resolve)),
    block() {
      const reason = 'a promise-form operation of this thread is allocating the cluster';
      throw new BlobstoreError('EBUSY', `a synchronous call would wait for ever: ${reason}; use the promise form`);
    },
  };
}

function keyOf(slot: number, cluster: BlobCluster): number {
  return slot * 2 ** 32 + cluster;
}

/** The allocations of one channel. */
export class ClusterAllocator {
  readonly #host: ChannelHost;
  readonly #gate: BlobGate;
  readonly #device: DeviceChannel;
  readonly #reader: BlobReader;
  readonly #underWay = new Map<number, Allocation>();

  constructor(host: ChannelHost, gate: BlobGate, device: DeviceChannel, reader: BlobReader) {
    this.#host = host;
    this.#gate = gate;
    this.#device = device;
    this.#reader = reader;
  }

  /**
   * True while this channel allocates a cluster, or operations that waited for that have not begun. Later writes to the
   * cluster wait then, though the map may have it already.
   */
  get isAllocating(): boolean {
    return this.#underWay.size > 0;
  }

  /**
   * Runs `begin` when the allocation of a cluster by this channel has ended, after all operations that waited for it
   * before. Settles as `begin` does. Undefined, without doing anything, when there is nothing to wait for.
   */
  onceEnded(slot: number, cluster: BlobCluster, begin: () => MaybePromise<void>): Promise<void> | undefined {
    if (this.#underWay.size === 0) return undefined;
    const key = keyOf(slot, cluster);
    const underWay = this.#underWay.get(key);
    return underWay && this.#beginInTurn(key, underWay, begin);
  }

  async #beginInTurn(key: number, underWay: Allocation, begin: () => MaybePromise<void>): Promise<void> {
    const turn = await inTurn(underWay).promise();
    let pending: MaybePromise<void>;
    try {
      pending = begin();
    } finally {
      this.#resumeNext(key, underWay, turn);
    }
    await pending;
  }

  /**
   * Lets the next operation that waits for an allocation go on. Does nothing if the operation of this turn has begun
   * another allocation: the end of that lets the next one go on.
   */
  #resumeNext(key: number, allocation: Allocation, turn: number): void {
    if (allocation.turn !== turn) return;
    allocation.turn++;
    const next = allocation.waiters.shift();
    if (next) next(allocation.turn);
    else this.#underWay.delete(key);
  }

  /**
   * Allocates a cluster, unless it is allocated already, or waits for the allocation that this channel has under way.
   * The caller is inside the blob. Throws `FrozenBehind` when a snapshot on the way to the content is frozen. A
   * synchronous call on a thread other than the metadata thread does not wait for operations of its own thread: if two
   * of them allocate the same cluster, the second to be inserted releases its cluster. On the metadata thread it throws
   * EBUSY instead.
   * @param fill - writes data to the new cluster. Called only on threads other than the metadata thread, while that one
   * inserts the cluster.
   * @returns whether `fill` has written the data
   */
  *allocate(slot: number, cluster: BlobCluster, blocking: boolean, fill?: Fill): Steps<boolean> {
    const key = keyOf(slot, cluster);
    const isUnallocated = () => lookUpCluster(this.#host.shared, slot, cluster) === 0;
    let waitedFor: { readonly allocation: Allocation; readonly turn: number } | undefined;
    try {
      while (isUnallocated()) {
        const allocation = this.#underWay.get(key) ?? { waiters: [], hasEnded: true, turn: 0 };
        if (allocation.hasEnded) {
          if (yield* this.#allocateAlone(key, allocation, slot, cluster, fill)) return true;
        } else if (blocking && !this.#host.isMetadataThread) {
          if (yield* this.#copyOnWrite(slot, cluster, fill)) return true;
        } else {
          // If that allocation fails, this operation tries it itself.
          waitedFor = { allocation, turn: yield* waitFor(inTurn(allocation)) };
        }
      }
      return false;
    } finally {
      if (waitedFor) this.#resumeNext(key, waitedFor.allocation, waitedFor.turn);
    }
  }

  *#allocateAlone(
    key: number,
    allocation: Allocation,
    slot: number,
    cluster: BlobCluster,
    fill: Fill | undefined,
  ): Steps<boolean> {
    const turn = ++allocation.turn;
    allocation.hasEnded = false;
    this.#underWay.set(key, allocation);
    try {
      return yield* this.#copyOnWrite(slot, cluster, fill);
    } finally {
      allocation.hasEnded = true;
      this.#resumeNext(key, allocation, turn);
    }
  }

  /**
   * Gives a claimed cluster its content and inserts it. Three cases: zeroes, with nothing to copy; a copy by the
   * device; a read and a write.
   */
  *#copyOnWrite(slot: number, cluster: BlobCluster, fill: Fill | undefined): Steps<boolean> {
    const { metadata, shared } = this.#host;
    let claimed: ClaimedCluster | undefined;
    let written = false;
    let inserted = false;
    try {
      const source = yield* this.#findSource(slot, cluster);
      claimed = yield* this.#claim(slot, cluster);
      if (claimed.cluster >= shared.highWater) yield* metadata.raiseHighWater(claimed.cluster);
      if (source.kind === 'device') {
        written = true;
        yield* this.#copyOnDevice(claimed.cluster, source.lba);
      } else if (source.kind === 'read') {
        const buffer = yield* this.#reader.readWholeBehind(slot, cluster);
        written = true;
        yield* this.#writeWhole(claimed.cluster, buffer);
      }
      inserted = true; // even if this fails, because the map may have the cluster then
      // Without a high-water mark, recovery would not clear a cluster that has data but is in no map after a crash.
      const mayFill = !this.#host.isMetadataThread && this.#host.device.synchronous && shared.highWater !== NONE_U32;
      const filling = fill && mayFill ? new Filling(claimed.cluster, fill) : undefined;
      const meanwhile = filling && (() => filling.start());
      if ((yield* metadata.insertCluster(slot, cluster, claimed, meanwhile)) === 'exists') inserted = false;
      written ||= filling?.hasBegun === true;
      return inserted && filling?.hasEnded() === true;
    } finally {
      if (claimed && !inserted) {
        if (written) yield* metadata.discardCluster(slot, claimed, written);
        else unclaimCluster(shared, claimed);
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
    const { blobs, maps } = this.#host.shared;
    if ((blobs.load(slot, BLOB.FLAGS) & BLOB_FLAG.EXTENT_TABLE) === 0) return false;
    return maps.loadIn(blobs.load(slot, BLOB.EXTENTS_OFFSET) >>> 0, extentPageIndex(cluster)) === 0;
  }

  /** Finds the source of what a cluster reads as. The source stays as it is until the caller has left the blob. */
  *#findSource(slot: number, cluster: BlobCluster): Steps<ClusterSource> {
    const { geometry, shared, device } = this.#host;
    const { blobs } = shared;
    let at = slot;
    for (let kind = blobs.load(at, BLOB.BACK_KIND); kind === BACK.BLOB; kind = blobs.load(at, BLOB.BACK_KIND)) {
      const behind = blobs.load(at, BLOB.BACK_SLOT);
      this.#gate.requireThawed(behind);
      if (cluster >= blobs.load(behind, BLOB.CLUSTER_COUNT) >>> 0) return { kind: at === slot ? 'read' : 'zeroes' };
      const entry = lookUpCluster(shared, behind, cluster);
      if (entry !== 0 && !device.canCopy) return { kind: 'read' };
      if (entry !== 0) return { kind: 'device', lba: entry * geometry.blocksPerCluster };
      at = behind;
    }
    if (blobs.load(at, BLOB.BACK_KIND) === BACK.ZEROES) return { kind: 'zeroes' };
    return yield* this.#externalSource(at, cluster, device.canCopy && at !== slot);
  }

  *#externalSource(slot: number, cluster: BlobCluster, canCopy: boolean): Steps<ClusterSource> {
    const device = yield* wait(this.#host.externalDevice(slot));
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

  *#writeWhole(cluster: DeviceCluster, buffer: Uint8Array): Steps<void> {
    const { geometry } = this.#host;
    yield* wait(this.#device.write(buffer, 0, geometry.clusterToLba(cluster), geometry.blocksPerCluster));
  }
}
