/**
 * The map of a blob's clusters: the shared lists that channels read, and which parts of them are not on disk yet.
 * Creating a snapshot moves the whole map of the original to the snapshot.
 */

import type { MapArena } from '../shared/map-arena.js';
import type { Coalescer } from '../steps/coalescer.js';
import type { Deferred } from '../steps/deferred.js';
import type { DeviceCluster, MdPage } from '../units/units.js';
import { ArenaTable } from './arena-table.js';
import { SmallMap, SmallSet } from './mostly-empty.js';

/** A cluster that an extent page on disk may name (without an extent table: that the chain may name). */
export interface UncertainCluster {
  cluster: DeviceCluster;
  /** The index of the extent page in the blob; undefined without an extent table. */
  extentPage: number | undefined;
}

/** A cluster that is being inserted into the map. */
export interface Insertion {
  cluster: DeviceCluster;
  /** Resolved when the insertion has ended, whether it succeeded or failed. */
  ended: Deferred;
}

/** The uncertain clusters of a map. */
export function uncertainClusters(map: ClusterMap): DeviceCluster[] {
  return map.uncertain.map(({ cluster }) => cluster);
}

/** The cluster map of a blob. Metadata thread. */
export class ClusterMap {
  /**
   * The device cluster of each cluster, or 0. After shrinking it is longer than the blob until the blob is persisted.
   */
  readonly clusters: ArenaTable;
  /**
   * The metadata page of each extent page, or 0. After shrinking it is longer than needed until the blob is persisted.
   */
  readonly extentPages: ArenaTable;
  /** The number of entries of `clusters` within the blob's size that are not 0. */
  allocatedCount = 0;
  /** Dirty extent pages, by index: memory differs from the copy on disk. */
  readonly dirtyExtentPages = new SmallSet<number>();
  /** Extent pages, by index, that no root on disk names yet. */
  readonly unrootedExtentPages = new SmallSet<number>();
  /**
   * The metadata pages of extent pages that are named by no root that the disk may have. What is written there has no
   * effect before the next root. An unrooted extent page is not one of them if it was a page of another blob, or if a
   * write of a root that names it has failed.
   */
  readonly unnamedPages = new SmallSet<MdPage>();
  /** Unmapped clusters that the map does not have any more, but that an extent page on disk may still name. */
  dropped: DeviceCluster[] = [];
  /** Clusters that are not in the map, because their write to disk failed. The disk may name them nevertheless. */
  uncertain: UncertainCluster[] = [];
  /**
   * Insertions that are being written to disk, by cluster index in the blob. They come into `clusters` once they are on
   * disk.
   */
  readonly inserting = new SmallMap<number, Insertion>();
  /** Writes of extent pages that are under way, by index. */
  readonly writes = new SmallMap<number, Coalescer>();

  constructor(arena: MapArena) {
    this.clusters = new ArenaTable(arena);
    this.extentPages = new ArenaTable(arena);
  }

  /** The device cluster of a cluster as it must be written to disk, which includes insertions under way; or 0. */
  clusterForDisk(index: number): number {
    if (this.inserting.size === 0) return this.clusters.get(index);
    return this.inserting.get(index)?.cluster ?? this.clusters.get(index);
  }

  /**
   * Calls a function for each cluster from `start` up to, not including, `end` that `clusterForDisk` says is allocated.
   * For a cluster that is being inserted it may be called twice: the last call has the right device cluster.
   */
  forEachForDisk(visit: (cluster: number, index: number) => void, start: number, end: number): void {
    this.clusters.forEachSet(visit, start, end);
    if (this.inserting.size === 0) return;
    for (let index = start; index < end; index++) {
      const insertion = this.inserting.get(index);
      if (insertion !== undefined) visit(insertion.cluster, index);
    }
  }

  /** Removes all allocations from the map. Does not free the clusters. */
  clear(): void {
    this.clusters.clear();
    this.extentPages.clear();
    this.allocatedCount = 0;
    this.dirtyExtentPages.clear();
    this.unrootedExtentPages.clear();
    this.unnamedPages.clear();
  }

  /** Frees the lists. The map must not be used any more. */
  free(): void {
    this.clusters.free();
    this.extentPages.free();
  }
}
