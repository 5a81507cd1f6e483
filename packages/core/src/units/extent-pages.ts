/** Computes which extent page of a blob maps which of its clusters. */

import { CLUSTERS_PER_EXTENT_PAGE } from './units.js';

/** The lowest metadata page that can be an extent page. In an extent table, 0 means "none". */
export const FIRST_EXTENT_PAGE = 1;

/** The index of the extent page that maps a cluster of a blob. */
export function extentPageIndex(cluster: number): number {
  return Math.floor(cluster / CLUSTERS_PER_EXTENT_PAGE);
}

/** How many clusters extent page `index` maps in a blob of `clusterCount` clusters; 0 to `CLUSTERS_PER_EXTENT_PAGE`. */
export function clustersInPage(clusterCount: number, index: number): number {
  return Math.max(0, Math.min(CLUSTERS_PER_EXTENT_PAGE, clusterCount - index * CLUSTERS_PER_EXTENT_PAGE));
}

/** How many extent pages `clusterCount` clusters need. */
export function extentPagesFor(clusterCount: number): number {
  return Math.ceil(clusterCount / CLUSTERS_PER_EXTENT_PAGE);
}
