/**
 * Where a blob's clusters are: the shared lists that channels read, and what of them the disk does not have yet. A snapshot
 * takes its original's map over as a whole.
 */

import type { MapArena } from '../shared/map-arena.js';
import type { Coalescer } from '../steps/coalescer.js';
import type { Deferred } from '../steps/deferred.js';
import type { DeviceCluster } from '../units/units.js';
import { ArenaRun } from './arena-run.js';

/** A cluster that an extent page, or without an extent table the chain, may name on disk. */
export interface UncertainCluster {
  cluster: DeviceCluster;
  /** By its number in the blob; undefined without an extent table. */
  extentPage: number | undefined;
}

export interface Insertion {
  cluster: DeviceCluster;
  /** Resolved when it has ended, well or not. */
  ended: Deferred;
}

/** The clusters in a map's list of uncertain ones. */
export function uncertainClusters(map: ClusterMap): DeviceCluster[] {
  return map.uncertain.map(({ cluster }) => cluster);
}

export class ClusterMap {
  /** Device cluster of each cluster, or 0; longer than the blob after shrinking, until the blob is persisted. */
  readonly clusters: ArenaRun;
  /** Metadata page of each extent page, or 0; longer than needed after shrinking, until the blob is persisted. */
  readonly extentPages: ArenaRun;
  /** Entries of `clusters`, within the blob's size, that are not 0. */
  allocatedCount = 0;
  /** Extent pages, by their number in the blob, whose copy on disk is not what memory has. */
  readonly dirtyExtentPages = new Set<number>();
  /** Extent pages, by their number in the blob, that no root on disk names yet. */
  readonly unrootedExtentPages = new Set<number>();
  /** Cleared clusters that the map dropped, but an extent page on disk may still name. */
  dropped: DeviceCluster[] = [];
  /** Clusters that the map does not have because writing it failed; the disk may have them all the same. */
  uncertain: UncertainCluster[] = [];
  /** Insertions that are being written, by the cluster's index in the blob: on disk they come before they come here. */
  readonly inserting = new Map<number, Insertion>();
  /** Writes of extent pages that are under way. */
  readonly writes = new Map<number, Coalescer>();

  constructor(arena: MapArena) {
    this.clusters = new ArenaRun(arena);
    this.extentPages = new ArenaRun(arena);
  }

  /** The device cluster of a blob's cluster as the disk is to have it: with what is being inserted. */
  clusterForDisk(index: number): number {
    if (this.inserting.size === 0) return this.clusters.get(index);
    return this.inserting.get(index)?.cluster ?? this.clusters.get(index);
  }

  /** Forgets every allocation. */
  clear(): void {
    this.clusters.clear();
    this.extentPages.clear();
    this.allocatedCount = 0;
    this.dirtyExtentPages.clear();
    this.unrootedExtentPages.clear();
  }

  /** Gives the lists back; the map must not be used any more. */
  free(): void {
    this.clusters.free();
    this.extentPages.free();
  }
}
