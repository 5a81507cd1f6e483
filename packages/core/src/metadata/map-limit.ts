/** How large the map of a blob may become. */

import type { StoreState } from '../state/store-state.js';
import { UnavailableBlobError } from '../units/error.js';
import { type BlobId, NONE_U32 } from '../units/units.js';

/** Clusters that a blob can have in any store, and for each metadata page of a store. */
const MAP_CLUSTERS_MIN = 2 ** 20;
const MAP_CLUSTERS_PER_MD_PAGE = 1024;

/**
 * Clusters that a blob of a store can have: at least as many as the device has. A thin blob may be far larger, but then its map
 * in memory, 4 bytes a cluster, is never larger than the metadata region, or 4 MiB where that is smaller. With a metadata page
 * for each cluster, as stores have by default, this is 1024 times the device.
 */
function blobClustersMax(clusterCount: number, mdPageCount: number): number {
  return Math.min(NONE_U32, Math.max(MAP_CLUSTERS_MIN, clusterCount, mdPageCount * MAP_CLUSTERS_PER_MD_PAGE));
}

/** ENOMEM when a blob's map would be out of proportion to the store's metadata; see `blobClustersMax`. */
export function requireMapFits(store: StoreState, id: BlobId, clusterCount: number): void {
  const most = blobClustersMax(store.shared.clusters.capacity, store.geometry.mdPageCount);
  if (clusterCount <= most) return;
  const size = `blob ${id} would have ${clusterCount} clusters`;
  throw new UnavailableBlobError('ENOMEM', `${size}; one of a store with this metadata region has at most ${most}`);
}
