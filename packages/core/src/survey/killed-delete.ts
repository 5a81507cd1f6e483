/**
 * Deletions that ended with the process. SPDK deletes a blob by zeroing its chain, and the root after it; who is killed between
 * leaves a root whose chain goes on in a page of zeroes. The blob is gone then, for SPDK as for us. What its root still names, and
 * nobody else, is cleared and given back as by any deletion: the root first.
 */

import { Blob } from '../blob/blob.js';
import { finishDelete, hide } from '../metadata/delete.js';
import type { RegionReader } from '../state/region-reader.js';
import type { StoreState } from '../state/store-state.js';
import type { Steps } from '../steps/steps.js';
import type { Geometry } from '../units/geometry.js';
import { blobIdOfPage, type DeviceCluster, type MdPage } from '../units/units.js';
import { ClaimReader } from './claims.js';

/** What is left of a blob that was being deleted. */
export interface KilledDelete {
  /** Where its root is. */
  readonly page: MdPage;
  /** The other pages that it names. */
  readonly pages: MdPage[];
  readonly clusters: DeviceCluster[];
}

/** Reads what a half deleted blob still names, on pages that can be believed, and that passes the filters. */
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

/** Ends deletions, on disk too. All that is left of the blobs is marked as used, but for their ids. */
export function* finishKilledDeletes(store: StoreState, deletes: readonly KilledDelete[]): Steps<void> {
  for (const { page, pages, clusters } of deletes) {
    const blob = new Blob(store.shared, blobIdOfPage(page));
    blob.chain = [page, ...pages];
    blob.staleClusters = clusters;
    hide(store, blob);
    yield* finishDelete(store, blob);
  }
}
