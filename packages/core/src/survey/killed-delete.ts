/**
 * Deletions that were interrupted because the process was killed. SPDK deletes a blob by zeroing its chain, and then
 * the root. A process that is killed in between leaves a root whose chain continues in a page of zeroes. For SPDK and
 * for this engine the blob is gone then. As in any deletion, its root is zeroed first; then what only the root named is
 * cleared and released.
 */

import { Blob } from '../blob/blob.js';
import { finishDelete, hide } from '../metadata/delete.js';
import type { RegionReader } from '../state/region-reader.js';
import type { StoreState } from '../state/store-state.js';
import type { Steps } from '../steps/steps.js';
import type { Geometry } from '../units/geometry.js';
import { blobIdOfPage, type DeviceCluster, type MdPage } from '../units/units.js';
import { ClaimReader } from './claims.js';

/** The rest of a blob that was being deleted. */
export interface KilledDelete {
  /** The page of its root. */
  readonly page: MdPage;
  /** The other pages that it names. */
  readonly pages: MdPage[];
  readonly clusters: DeviceCluster[];
}

/** Reads what a half-deleted blob still names on pages with a correct crc, and that passes the filters. */
export function* readKilledDelete(
  region: RegionReader,
  geometry: Geometry,
  clusterCount: number,
  page: MdPage,
  isItsOwn: { page: (page: MdPage) => boolean; cluster: (cluster: number) => boolean },
): Steps<KilledDelete> {
  const pages = new Set<MdPage>();
  const clusters = new Set<DeviceCluster>();
  const reader = new ClaimReader(region, geometry, clusterCount, page, {
    page: (named, sealed) => {
      if (sealed && named !== page && isItsOwn.page(named)) pages.add(named);
    },
    clusters: (first, count, sealed) => {
      for (let at = first; sealed && at < first + count; at++)
        if (isItsOwn.cluster(at)) clusters.add(at as DeviceCluster);
    },
  });
  yield* reader.read(true);
  return { page, pages: [...pages], clusters: [...clusters] };
}

/**
 * Finishes deletions, on disk, too. The pages and clusters of these blobs must be marked as used, but not their ids.
 */
export function* finishKilledDeletes(store: StoreState, deletes: readonly KilledDelete[]): Steps<void> {
  for (const { page, pages, clusters } of deletes) {
    const blob = new Blob(store.shared, blobIdOfPage(page));
    blob.chain = [page, ...pages];
    blob.staleClusters = clusters;
    hide(store, blob);
    yield* finishDelete(store, blob);
  }
}
