/** The limit of the size of a blob's map. */

import type { StoreState } from '../state/store-state.js';
import { UnavailableBlobError } from '../units/error.js';
import { type BlobId, NONE_U32 } from '../units/units.js';

/**
 * A blob can always have `MAP_CLUSTERS_MIN` clusters, and `MAP_CLUSTERS_PER_MD_PAGE` for each metadata page of its
 * store.
 */
const MAP_CLUSTERS_MIN = 2 ** 20;
const MAP_CLUSTERS_PER_MD_PAGE = 1024;

/**
 * Returns how many clusters a blob of a store can have. The limit bounds its map in memory, which takes up to 4 bytes
 * for each cluster, to the largest of three sizes: the metadata region, 4 MiB, and the map of a blob as large as the
 * device. With one metadata page for each cluster, the default, a thin blob can be 1024 times as large as the device.
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
