/** Taking clusters, and the extent pages that they need, out of what is free. */

import { BlobstoreError } from '../error.js';
import type { SharedStore } from '../shared/shared-store.js';
import { CLUSTERS_PER_EXTENT_PAGE, type DeviceCluster, type MdPage, NONE_U32, UNALLOCATED } from '../units/units.js';

/** The lowest page that an extent page can have: 0 in an extent table means "none". */
export const FIRST_EXTENT_PAGE = 1;

/** A cluster of the device, taken, and a metadata page for its extent page where one is needed, else 0. */
export interface ClaimedCluster {
  cluster: DeviceCluster;
  extentPage: MdPage;
}

/**
 * Takes a cluster, and a page for a new extent page if asked. ENOSPC, and nothing taken, when there is none. Any thread.
 */
export function claimCluster(shared: SharedStore, needsExtentPage: boolean): ClaimedCluster {
  return shared.locked(() => {
    const cluster = shared.clusters.allocate();
    if (cluster === NONE_U32) throw noCluster(1, 0);
    if (!needsExtentPage) return { cluster: cluster as DeviceCluster, extentPage: UNALLOCATED as MdPage };
    const extentPage = shared.pages.findFree(FIRST_EXTENT_PAGE);
    if (extentPage === NONE_U32) {
      shared.clusters.free(cluster);
      throw noMetadataPage(1);
    }
    shared.pages.claim(extentPage as MdPage);
    return { cluster: cluster as DeviceCluster, extentPage: extentPage as MdPage };
  });
}

/** Gives back what `claimCluster` took. Any thread. */
export function unclaimCluster(shared: SharedStore, claimed: ClaimedCluster): void {
  shared.locked(() => {
    shared.clusters.free(claimed.cluster);
    if (claimed.extentPage !== UNALLOCATED) shared.pages.release(claimed.extentPage);
  });
}

/** Extent pages that `clusterCount` clusters need. */
export function extentPagesFor(clusterCount: number): number {
  return Math.ceil(clusterCount / CLUSTERS_PER_EXTENT_PAGE);
}

export function noCluster(needed: number, free: number): BlobstoreError {
  const found = `${needed} clusters are needed, ${free} are free`;
  return new BlobstoreError('ENOSPC', `the store is full: ${found}; delete blobs or grow the store`);
}

export function noMetadataPage(needed: number): BlobstoreError {
  const advice = 'delete blobs or xattrs; a store made with more metadata pages holds more';
  return new BlobstoreError('ENOSPC', `the metadata region is full: ${needed} more pages are needed; ${advice}`);
}
