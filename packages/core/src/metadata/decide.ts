/**
 * What a persist writes, decided at one moment (step 2 of `persist.ts`): the extent pages that have changed, and the
 * chain.
 */

import type { Blob } from '../blob/blob.js';
import type { ClusterMap, UncertainCluster } from '../blob/cluster-map.js';
import { encodeChain } from '../format/blob-chain.js';
import type { MdPageView } from '../format/md-page.js';
import type { NotedInsertion } from '../state/insertion-log.js';
import type { StoreState } from '../state/store-state.js';
import { clustersInPage, extentPagesFor } from '../units/extent-pages.js';
import type { DeviceCluster, MdPage } from '../units/units.js';
import { encodeBlobExtentPage, renewExtentPage } from './extent-pages.js';

/**
 * Handles the extent page in which the blob ends, or ended on disk: if it maps more or fewer clusters now than the root
 * on disk says, it becomes dirty. If the root on disk names it, it also gets a new page where possible.
 */
export function fitExtentPages(store: StoreState, blob: Blob): void {
  const { map, clusterCount, syncedClusterCount } = blob;
  const index = extentPagesOf(blob, Math.min(clusterCount, syncedClusterCount)) - 1;
  if (index < 0 || map.extentPages.get(index) === 0) return;
  if (clustersInPage(clusterCount, index) === clustersInPage(syncedClusterCount, index)) return;
  const isRooted = !map.unrootedExtentPages.has(index);
  if (store.keepsHighWater && isRooted && !renewExtentPage(store, blob, index)) map.unrootedExtentPages.add(index);
  map.dirtyExtentPages.add(index);
}

/** An extent page to be written. */
export interface DecidedExtentPage {
  /** Its index in the blob. */
  readonly index: number;
  readonly page: MdPage;
  readonly view: MdPageView;
}

export function decideExtentPages(store: StoreState, blob: Blob): DecidedExtentPage[] {
  return takeChangedExtentPages(blob).map((index) => {
    const page = blob.map.extentPages.get(index) as MdPage;
    return { index, page, view: encodeBlobExtentPage(store, blob, index) };
  });
}

/**
 * True if the chain with its root must be written. False if it is enough to write extent pages that the root on disk
 * names.
 */
export function needsRoot(blob: Blob): boolean {
  const { map } = blob;
  return (
    blob.chainChanged ||
    blob.rootInDoubt ||
    !blob.usesExtentTable ||
    blob.clusterCount !== blob.syncedClusterCount ||
    blob.replacedPages.length > 0 ||
    map.unrootedExtentPages.size > 0
  );
}

/** Returns the numbers of the extent pages to be written, and marks them as unchanged. */
export function takeChangedExtentPages(blob: Blob): number[] {
  const changed = changedExtentPages(blob);
  blob.map.dirtyExtentPages.clear();
  blob.lengthenedExtentPages.clear();
  return changed;
}

export function changedExtentPages({ map, lengthenedExtentPages, extentPageCount }: Blob): number[] {
  if (map.dirtyExtentPages.size === 0 && lengthenedExtentPages.size === 0) return [];
  const changed = [...new Set([...map.dirtyExtentPages.elements, ...lengthenedExtentPages.elements])].sort(
    (a, b) => a - b,
  );
  return changed.filter((index) => index < extentPageCount && map.extentPages.get(index) !== 0);
}

/** A chain to be written, and what changes when its root is on disk. */
export interface DecidedChain {
  /** Empty: the root on disk stays, and only extent pages that it names are written. */
  pages: MdPageView[];
  map: ClusterMap;
  clusterCount: number;
  /** Extent pages that this chain is the first to name: number in the blob, and page. */
  unrooted: [number, number][];
  /** Extent pages that the previous chain named and this one does not. */
  replaced: MdPage[];
  /** Clusters that no map on disk names any more; they are unmapped already, and can be released. */
  dropped: DeviceCluster[];
  /** Clusters that no map on disk names any more, and that have to be cleared first. */
  uncertain: UncertainCluster[];
  /** Records of the insertion log that this chain makes redundant. */
  noted: readonly NotedInsertion[];
}

const NO_RECORDS: readonly NotedInsertion[] = [];

export function decideChain(store: StoreState, blob: Blob, writesRoot: boolean): DecidedChain {
  const { map, clusterCount } = blob;
  const noted = store.insertionLog?.seal(blob.page) ?? NO_RECORDS;
  const pages = writesRoot ? encodeChain(blob.chainContent(), () => store.pageBuffers.takeZeroed()) : [];
  blob.state = 'clean'; // if the blob changes again before the pages are written, it becomes dirty again
  const isOffDisk = ({ extentPage }: UncertainCluster) =>
    extentPage === undefined || !map.dirtyExtentPages.has(extentPage);
  return {
    pages,
    map,
    clusterCount,
    unrooted: map.unrootedExtentPages.elements.map((index) => [index, extentPageAt(map, index)]),
    replaced: [...blob.replacedPages],
    dropped: [...map.dropped],
    uncertain: map.uncertain.filter(isOffDisk),
    noted,
  };
}

export function extentPageAt({ extentPages }: ClusterMap, index: number): number {
  return index < extentPages.count ? extentPages.get(index) : 0;
}

/** How many extent pages a blob has for its first `clusterCount` clusters. */
export function extentPagesOf(blob: Blob, clusterCount: number): number {
  return blob.usesExtentTable ? extentPagesFor(clusterCount) : 0;
}
