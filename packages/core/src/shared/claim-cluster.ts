/** Claims free clusters, and free pages for the extent pages that they need. */

import { BlobstoreError } from '../units/error.js';
import { FIRST_EXTENT_PAGE } from '../units/extent-pages.js';
import { type DeviceCluster, type MdPage, NONE_U32, UNALLOCATED } from '../units/units.js';
import type { SharedStore } from './shared-store.js';

/** A claimed cluster of the device, and a claimed metadata page for its extent page, or 0 if none is needed. */
export interface ClaimedCluster {
  cluster: DeviceCluster;
  extentPage: MdPage;
  /** Its entry in the claim log; undefined on the metadata thread. */
  entry?: number;
}

/**
 * Claims a cluster and, if asked, a page for a new extent page. Any thread. Throws ENOSPC when there is none, ENOMEM
 * when the thread's claim log is full; nothing is claimed then.
 */
export function claimCluster(shared: SharedStore, needsExtentPage: boolean): ClaimedCluster {
  return shared.locked(() => {
    const cluster = shared.clusters.findFree() as DeviceCluster;
    if (cluster === NONE_U32) throw noCluster(1, 0);
    const extentPage = (needsExtentPage ? shared.pages.findFree(FIRST_EXTENT_PAGE) : UNALLOCATED) as MdPage;
    if (extentPage === NONE_U32) throw noMetadataPage(1);
    const entry = shared.claims?.note(cluster, extentPage);
    shared.clusters.take(cluster);
    if (extentPage !== UNALLOCATED) shared.pages.claim(extentPage);
    return { cluster, extentPage, entry };
  });
}

/**
 * Releases what `claimCluster` has claimed. The cluster's bit is cleared last, because a log entry whose cluster is
 * free is void. Any thread.
 */
export function unclaimCluster(shared: SharedStore, claimed: ClaimedCluster): void {
  shared.locked(() => {
    if (claimed.extentPage !== UNALLOCATED) shared.pages.release(claimed.extentPage);
    shared.clusters.free(claimed.cluster);
    if (claimed.entry !== undefined) shared.claims?.forget(claimed.entry);
  });
}

export function noCluster(needed: number, free: number): BlobstoreError {
  const found = `${needed} clusters are needed, ${free} are free`;
  return new BlobstoreError('ENOSPC', `the store is full: ${found}; delete blobs or grow the store`);
}

export function noMetadataPage(needed: number): BlobstoreError {
  const advice = 'delete blobs or xattrs; a store made with more metadata pages holds more';
  return new BlobstoreError('ENOSPC', `the metadata region is full: ${needed} more pages are needed; ${advice}`);
}
