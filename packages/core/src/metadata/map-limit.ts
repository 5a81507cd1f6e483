/** The limit of the size of a blob's map. */

import type { StoreState } from '../state/store-state.js';
import { UnavailableBlobError } from '../units/error.js';
import { type BlobId, NONE_U32 } from '../units/units.js';

/** The limit is at least the first number, in clusters; the second is the clusters per metadata page of the store. */
const MAP_CLUSTERS_MIN = 2 ** 20;
const MAP_CLUSTERS_PER_MD_PAGE = 1024;

/**
 * Returns how many clusters a blob of a store can have: at least as many as the device has. A thin blob can be far
 * larger. But its map in memory, up to 4 bytes per cluster, is never larger than the metadata region, or than 4 MiB
 * where the region is smaller. With one metadata page per cluster, the default, the limit is 1024 times the device.
 */
function blobClustersMax(clusterCount: number, mdPageCount: number): number {
  return Math.min(NONE_U32, Math.max(MAP_CLUSTERS_MIN, clusterCount, mdPageCount * MAP_CLUSTERS_PER_MD_PAGE));
}

/** Throws ENOMEM when a blob's map would be too large for the store's metadata region; see `blobClustersMax`. */
export function requireMapFits(store: StoreState, id: BlobId, clusterCount: number): void {
  const most = blobClustersMax(store.shared.clusters.capacity, store.geometry.mdPageCount);
  if (clusterCount <= most) return;
  const size = `blob ${id} would have ${clusterCount} clusters`;
  throw new UnavailableBlobError('ENOMEM', `${size}; one of a store with this metadata region has at most ${most}`);
}
