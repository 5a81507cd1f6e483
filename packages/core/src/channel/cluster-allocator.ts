/**
 * Allocation of a blob's cluster when it is first written: a cluster is claimed, gets the content that the blob's cluster
 * reads as (copy on write), and is inserted into the map by the metadata thread. Operations of a channel that want the same
 * cluster wait for one allocation.
 */

import type { DeviceChannel } from '../device/block-device.js';
import { type ClaimedCluster, claimCluster, unclaimCluster } from '../shared/claim-cluster.js';
import { BACK, BLOB, BLOB_FLAG } from '../shared/layout.js';
import { type Steps, wait } from '../steps/steps.js';
import { assert } from '../units/error.js';
import { extentPageIndex } from '../units/extent-pages.js';
import { type BlobCluster, type DeviceCluster, NONE_U32 } from '../units/units.js';
import type { BlobGate } from './blob-gate.js';
import type { BlobReader } from './blob-reader.js';
import type { ChannelHost } from './host.js';
import { lookUpCluster } from './operation.js';

/** An allocation that is under way, and who waits for its end. */
interface Allocation {
  waiters: (() => void)[];
}

/** Where the content of a cluster comes from that is about to be allocated. */
type ClusterSource = { kind: 'zeroes' } | { kind: 'read' } | { kind: 'device'; lba: number };

/** Puts data into a device cluster, on a synchronous device. */
export type Fill = (cluster: DeviceCluster) => unknown;

/** Data being put into a cluster that is nobody's yet: whoever gets it next must not find it there. */
class Filling {
  hasBegun = false;
  readonly #cluster: DeviceCluster;
  readonly #fill: Fill;
  #failure: { readonly error: unknown } | undefined;

  constructor(cluster: DeviceCluster, fill: Fill) {
    this.#cluster = cluster;
    this.#fill = fill;
  }

  start(): void {
    this.hasBegun = true;
    try {
      this.#fill(this.#cluster);
    } catch (error) {
      this.#failure = { error };
    }
  }

  /** True when the data is there; throws what went wrong. */
  hasEnded(): boolean {
    if (this.#failure) throw this.#failure.error;
    return this.hasBegun;
  }
}

function keyOf(slot: number, cluster: BlobCluster): number {
  return slot * 2 ** 32 + cluster;
}

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

  /** Resolves when the allocation of a cluster that is under way on this channel has ended; undefined when none is. */
  whenEnded(slot: number, cluster: BlobCluster): Promise<void> | undefined {
    if (this.#underWay.size === 0) return undefined;
    const underWay = this.#underWay.get(keyOf(slot, cluster));
    return underWay && new Promise((resolve) => underWay.waiters.push(resolve));
  }

  /**
   * Allocates a cluster unless it is, or waits for who is doing so on this channel. Inside the blob; throws `FrozenBehind`
   * when a snapshot on the way to the content is frozen. A synchronous call waits for nobody on its own thread: if two allocate
   * the same cluster, the second to be inserted gives its own back.
   * @param fill - puts data into the cluster: on another thread than the metadata thread, while that one inserts it
   * @returns whether `fill` has done so
   */
  *allocate(slot: number, cluster: BlobCluster, blocking: boolean, fill?: Fill): Steps<boolean> {
    const key = keyOf(slot, cluster);
    while (lookUpCluster(this.#host.shared, slot, cluster) === 0) {
      const underWay = this.#underWay.get(key);
      if (underWay) {
        if (blocking && !this.#host.isMetadataThread) {
          if (yield* this.#copyOnWrite(slot, cluster, fill)) return true;
        } else yield new Promise<void>((resolve) => underWay.waiters.push(resolve));
        continue; // if that one failed, this operation tries itself
      }
      const allocation: Allocation = { waiters: [] };
      this.#underWay.set(key, allocation);
      try {
        if (yield* this.#copyOnWrite(slot, cluster, fill)) return true;
      } finally {
        this.#underWay.delete(key);
        for (const resume of allocation.waiters) resume();
      }
    }
    return false;
  }

  /** Three ways: nothing to copy where zeroes are behind, a copy by the device, or a read and a write. */
  *#copyOnWrite(slot: number, cluster: BlobCluster, fill: Fill | undefined): Steps<boolean> {
    const { metadata, shared } = this.#host;
    const inside: number[] = [];
    let claimed: ClaimedCluster | undefined;
    let written = false;
    let inserted = false;
    try {
      const source = yield* this.#findSource(slot, cluster, inside);
      claimed = yield* this.#claim(slot, cluster);
      if (claimed.cluster >= shared.highWater) yield* metadata.raiseHighWater(claimed.cluster);
      if (source.kind === 'device') {
        written = true;
        yield* this.#copyOnDevice(claimed.cluster, source.lba);
      } else if (source.kind === 'read') {
        this.#gate.leaveAll(inside);
        const buffer = yield* this.#reader.readWholeBehind(slot, cluster);
        written = true;
        yield* this.#writeWhole(claimed.cluster, buffer);
      }
      this.#gate.leaveAll(inside);
      inserted = true; // also when it fails: the map may have it then
      // Without a high-water mark nobody would clear a cluster that has data, and is in no map after a crash.
      const mayFill = !this.#host.isMetadataThread && this.#host.device.synchronous && shared.highWater !== NONE_U32;
      const filling = fill && mayFill ? new Filling(claimed.cluster, fill) : undefined;
      const meanwhile = filling && (() => filling.start());
      if ((yield* metadata.insertCluster(slot, cluster, claimed, meanwhile)) === 'exists') inserted = false;
      written ||= filling?.hasBegun === true;
      return inserted && filling?.hasEnded() === true;
    } finally {
      this.#gate.leaveAll(inside);
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
    return maps.load((blobs.load(slot, BLOB.EXTENTS_OFFSET) >>> 0) + extentPageIndex(cluster)) === 0;
  }

  /**
   * Finds what a cluster reads as. Where the device can copy it, the snapshots on the way to it are entered, and listed in
   * `inside`: none may let go of the cluster before the copy is done.
   */
  *#findSource(slot: number, cluster: BlobCluster, inside: number[]): Steps<ClusterSource> {
    const { geometry, shared, device } = this.#host;
    const { blobs } = shared;
    let at = slot;
    for (let kind = blobs.load(at, BLOB.BACK_KIND); kind === BACK.BLOB; kind = blobs.load(at, BLOB.BACK_KIND)) {
      const behind = blobs.load(at, BLOB.BACK_SLOT);
      this.#gate.enterBehind(behind);
      inside.push(behind);
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
