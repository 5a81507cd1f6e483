/** Taking clusters, and the extent pages that they need, out of what is free. */

import type { StoreState } from '../state/store-state.js';
import { BlobstoreError, UnavailableBlobError } from '../units/error.js';
import {
  type BlobId,
  CLUSTERS_PER_EXTENT_PAGE,
  type DeviceCluster,
  type MdPage,
  NONE_U32,
  UNALLOCATED,
} from '../units/units.js';
import type { SharedStore } from './shared-store.js';

/** The lowest page that an extent page can have: 0 in an extent table means "none". */
export const FIRST_EXTENT_PAGE = 1;

/** A cluster of the device, taken, and a metadata page for its extent page where one is needed, else 0. */
export interface ClaimedCluster {
  cluster: DeviceCluster;
  extentPage: MdPage;
  /** The entry of the claim log that says so; undefined on the metadata thread. */
  entry?: number;
}

/**
 * Takes a cluster, and a page for a new extent page if asked. ENOSPC, and nothing taken, when there is none. Any thread.
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

/** Gives back what `claimCluster` took, the cluster last: an entry of the log without its cluster says nothing. Any thread. */
export function unclaimCluster(shared: SharedStore, claimed: ClaimedCluster): void {
  shared.locked(() => {
    if (claimed.extentPage !== UNALLOCATED) shared.pages.release(claimed.extentPage);
    shared.clusters.free(claimed.cluster);
    if (claimed.entry !== undefined) shared.claims?.forget(claimed.entry);
  });
}

/** Extent pages that `clusterCount` clusters need. */
export function extentPagesFor(clusterCount: number): number {
  return Math.ceil(clusterCount / CLUSTERS_PER_EXTENT_PAGE);
}

/** Clusters that a blob can have in any store, and for each metadata page of a store. */
const MAP_CLUSTERS_MIN = 2 ** 20;
const MAP_CLUSTERS_PER_MD_PAGE = 1024;

/**
 * Clusters that a blob of a store can have: at least as many as the device has. A thin blob may be far larger, but then its map
 * in memory, 4 bytes a cluster, is never larger than the metadata region, or 4 MiB where that is smaller. With a metadata page
 * for each cluster, as stores have by default, this is 1024 times the device.
 */
export function blobClustersMax(clusterCount: number, mdPageCount: number): number {
  return Math.min(NONE_U32, Math.max(MAP_CLUSTERS_MIN, clusterCount, mdPageCount * MAP_CLUSTERS_PER_MD_PAGE));
}

/** ENOMEM when a blob's map would be out of proportion to the store's metadata; see `blobClustersMax`. */
export function requireMapFits(store: StoreState, id: BlobId, clusterCount: number): void {
  const most = blobClustersMax(store.shared.clusters.capacity, store.geometry.mdPageCount);
  if (clusterCount <= most) return;
  const size = `blob ${id} would have ${clusterCount} clusters`;
  throw new UnavailableBlobError('ENOMEM', `${size}; one of a store with this metadata region has at most ${most}`);
}

export function noCluster(needed: number, free: number): BlobstoreError {
  const found = `${needed} clusters are needed, ${free} are free`;
  return new BlobstoreError('ENOSPC', `the store is full: ${found}; delete blobs or grow the store`);
}

export function noMetadataPage(needed: number): BlobstoreError {
  const advice = 'delete blobs or xattrs; a store made with more metadata pages holds more';
  return new BlobstoreError('ENOSPC', `the metadata region is full: ${needed} more pages are needed; ${advice}`);
}
