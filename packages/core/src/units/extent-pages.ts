/** Which extent page of a blob maps which of its clusters. */

import { CLUSTERS_PER_EXTENT_PAGE } from './units.js';

/** The lowest page that an extent page can have: 0 in an extent table means "none". */
export const FIRST_EXTENT_PAGE = 1;

/** The extent page that maps a cluster, by its number in the blob. */
export function extentPageIndex(cluster: number): number {
  return Math.floor(cluster / CLUSTERS_PER_EXTENT_PAGE);
}

/** Clusters that extent page `index` of a blob with so many clusters maps. */
export function clustersInPage(clusterCount: number, index: number): number {
  return Math.max(0, Math.min(CLUSTERS_PER_EXTENT_PAGE, clusterCount - index * CLUSTERS_PER_EXTENT_PAGE));
}

/** Extent pages that `clusterCount` clusters need. */
export function extentPagesFor(clusterCount: number): number {
  return Math.ceil(clusterCount / CLUSTERS_PER_EXTENT_PAGE);
}
