/**
 * Writes a blob's metadata. The order on disk is the order in the code below, and a crash after any of the steps is
 * safe:
 *
 * 1. Mark the store dirty.
 * 2. Decide, at one moment, what is to be written: changed extent pages and the chain.
 * 3. Barrier: the data of new clusters is on the medium before a map names them.
 * 4. The extent pages: in place where only entries have changed, on new pages where they map more clusters or fewer.
 * 5. The chain except for its first page, on pages that nothing names yet.
 * 6. Barrier.
 * 7. The first page: from here on the new metadata is in effect.
 * 8. Barrier.
 * 9. Zero the old chain and extent pages, clear clusters that were cut off, and release them all. No barrier: see "Why
 *    9 has no barrier" in docs/WRITE-ORDER.md.
 *
 * A cluster that is inserted after step 2 is not named before the next persist: its content may have missed the
 * barrier. Where insertions write extent pages themselves (`process-crash`), extent pages are not decided at step 2,
 * but written as they are at step 4, so that an older map never overwrites a newer one.
 *
 * Persists of one blob never overlap: calls that arrive while one is running share the next one.
 */

import type { Blob } from '../blob/blob.js';
import { sealChain } from '../format/blob-chain.js';
import type { MdPageView } from '../format/md-page.js';
import { raiseMdPageMark } from '../state/raise-marks.js';
import type { StoreState } from '../state/store-state.js';
import { markDirty } from '../state/super-block-io.js';
import { Batch } from '../steps/batch.js';
import { ENDED, type Steps, wait } from '../steps/steps.js';
import { BlobstoreError } from '../units/error.js';
import type { DeviceCluster, MdPage } from '../units/units.js';
import { clearStale, eraseNoted, releaseClusters, releasePages } from './clearing.js';
import {
  changedExtentPages,
  type DecidedChain,
  type DecidedExtentPage,
  decideChain,
  decideExtentPages,
  extentPageAt,
  extentPagesOf,
  fitExtentPages,
  needsRoot,
  takeChangedExtentPages,
} from './decide.js';
import { writeExtentPage } from './extent-pages.js';

/**
 * Writes a blob's metadata if it is dirty. First finishes the undo that a failed operation on the blob has left
 * (`settle.ts`). The caller must run the steps immediately, because this call has already looked at the blob's state.
 */
export function persist(store: StoreState, blob: Blob): Steps<void> {
  const settle = store.unsettled.get(blob.page);
  return settle ? settleAndPersist(store, blob, settle) : persistUnsettled(store, blob);
}

function* settleAndPersist(store: StoreState, blob: Blob, settle: () => Steps<void>): Steps<void> {
  yield* settle();
  yield* persistUnsettled(store, blob);
}

/** Persists a blob without settling it first. Settling itself uses this. */
export function persistUnsettled(store: StoreState, blob: Blob): Steps<void> {
  if (blob.state === 'clean' && !blob.persists.isRunning) return ENDED;
  return blob.persists.run(() => persistOnce(store, blob, {}));
}

/** Persists a blob; then makes it read-only if `setReadOnly` asked for it. */
export function* sync(store: StoreState, blob: Blob): Steps<void> {
  yield* persist(store, blob);
  becomeReadOnly(blob);
}

/** Like `persist`, for a caller that holds `blob.persists` exclusively. */
export function persistAlone(store: StoreState, blob: Blob): Steps<void> {
  return persistOnce(store, blob, {});
}

/**
 * Like `persist`, but leaves the last barrier to the caller, unless this persist releases something. The root may not
 * be on the medium before the next barrier.
 */
export function* persistUntilBarrier(store: StoreState, blob: Blob): Steps<void> {
  const settle = store.unsettled.get(blob.page);
  if (settle) yield* settle();
  yield* blob.persists.alone(() => persistOnce(store, blob, { leavesBarrier: true }));
}

/** Like `sync`, for a caller that holds `blob.persists` exclusively. */
export function* syncAlone(store: StoreState, blob: Blob): Steps<void> {
  yield* persistOnce(store, blob, {});
  becomeReadOnly(blob);
}

function becomeReadOnly(blob: Blob): void {
  if (!blob.isBecomingReadOnly) return;
  blob.dataRo = true;
  blob.mdRo = true;
  blob.publish();
  blob.leaveIfSynced();
}

interface PersistOptions {
  /** See `persistUntilBarrier`. */
  readonly leavesBarrier?: boolean;
}

function* persistOnce(store: StoreState, blob: Blob, options: PersistOptions): Steps<void> {
  if (blob.isGone) return; // it was closed or deleted while this call waited for its turn
  store.pagesAhead?.forget();
  try {
    yield* markDirty(store);
    if (store.writesThrough) yield* writeThrough(store, blob);
    else yield* writeDecided(store, blob, options);
    setAsideCutOff(blob);
    yield* clearStale(store, blob);
    blob.leaveIfSynced();
  } catch (error) {
    blob.state = 'dirty';
    throw error;
  }
}

/** Steps 2 to 8 where insertions write extent pages themselves. There are no barriers in that mode. */
function* writeThrough(store: StoreState, blob: Blob): Steps<void> {
  // The blob may change its size while extent pages are written, which changes the chain: then they are written once
  // more.
  let { clusterCount } = blob;
  do {
    ({ clusterCount } = blob);
    fitExtentPages(store, blob);
    yield* writeChangedExtentPages(store, blob);
  } while (changedExtentPages(blob).length > 0 || blob.clusterCount !== clusterCount);
  yield* writeChain(store, blob, decideChain(store, blob, true), {});
}

function* writeChangedExtentPages(store: StoreState, blob: Blob): Steps<void> {
  const changed = takeChangedExtentPages(blob);
  try {
    for (const index of changed) yield* writeExtentPage(store, blob, index);
  } catch (error) {
    for (const index of changed) blob.map.dirtyExtentPages.add(index);
    throw error;
  }
  yield* awaitFirstWrites(store, blob);
}

/**
 * Waits for insertions that write an extent page for the first time: no root may name such a page before it is written.
 */
function* awaitFirstWrites(store: StoreState, blob: Blob): Steps<void> {
  const { unrootedExtentPages, writes } = blob.map;
  const isWriting = (index: number) => writes.get(index)?.isRunning === true;
  for (;;) {
    const index = unrootedExtentPages.elements.find(isWriting);
    if (index === undefined) return;
    yield* writeExtentPage(store, blob, index);
  }
}

/** Steps 2 to 8 where only persisting writes extent pages. */
function* writeDecided(store: StoreState, blob: Blob, options: PersistOptions): Steps<void> {
  const { map, usesExtentTable, chainAfterBarrier } = blob;
  fitExtentPages(store, blob);
  const extentPages = decideExtentPages(store, blob);
  const chain = decideChain(store, blob, extentPages.length === 0 || needsRoot(blob));
  try {
    if (extentPages.length > 0) yield* writeExtentPages(store, blob, extentPages);
    else yield* raiseMdPageMark(store, [blob.page]);
    if (chain.pages.length === 0) {
      yield* store.barrier();
      yield* conclude(store, blob, chain);
      return;
    }
    const rootWaits = extentPages.length > 0 || !usesExtentTable || chainAfterBarrier;
    if (rootWaits && chain.pages.length === 1) yield* store.barrier();
    yield* writeChain(store, blob, chain, options);
    if (chainAfterBarrier) blob.chainAfterBarrier = false;
  } catch (error) {
    for (const { index } of extentPages) map.dirtyExtentPages.add(index);
    throw error;
  }
}

/** Steps 3 and 4. */
function* writeExtentPages(store: StoreState, blob: Blob, extentPages: readonly DecidedExtentPage[]): Steps<void> {
  const { geometry, deviceChannel } = store;
  yield* raiseMdPageMark(store, [blob.page, ...extentPages.map(({ page }) => page)]);
  const changesNamed = extentPages.some(({ page }) => !blob.map.unnamedPages.has(page));
  if (changesNamed) yield* store.barrier();
  const batch = new Batch();
  for (const { page, view } of extentPages) {
    batch.add(() => deviceChannel.write(view.bytes, 0, geometry.mdPageToLba(page), geometry.blocksPerPage));
  }
  yield* batch.close();
  for (const { view } of extentPages) store.pageBuffers.give(view);
}

/** Returns the clusters that the blob has, including those past its end that the root on disk still counts. */
function keptClusterCount(blob: Blob): number {
  return Math.max(blob.clusterCount, Math.min(blob.syncedClusterCount, blob.map.clusters.count));
}

/** Steps 5 to 8. */
function* writeChain(store: StoreState, blob: Blob, chain: DecidedChain, options: PersistOptions): Steps<void> {
  const { pages } = chain;
  const numbers = claimChain(store, blob, pages);
  blob.rootClusterCount = chain.clusterCount;
  try {
    yield* raiseMdPageMark(store, numbers);
    if (pages.length > 1) yield* writeBehindRoot(store, pages, numbers);
  } catch (error) {
    blob.rootClusterCount = undefined;
    releasePages(store, numbers.slice(1)); // nothing on disk names them
    throw error;
  }
  for (const [, page] of chain.unrooted) chain.map.unnamedPages.delete(page as MdPage);
  yield* writeRoot(store, blob, pages[0], numbers, options);
  for (const page of pages) store.pageBuffers.give(page);
  yield* conclude(store, blob, chain);
}

/** Steps 5 and 6. */
function* writeBehindRoot(store: StoreState, pages: readonly MdPageView[], numbers: readonly MdPage[]): Steps<void> {
  const { geometry, deviceChannel } = store;
  const batch = new Batch();
  for (let at = 1; at < pages.length; at++) {
    const lba = geometry.mdPageToLba(numbers[at]);
    batch.add(() => deviceChannel.write(pages[at].bytes, 0, lba, geometry.blocksPerPage));
  }
  yield* batch.close();
  yield* store.barrier();
}

/** Updates the blob in memory when the metadata that was decided is on disk. */
function conclude(store: StoreState, blob: Blob, chain: DecidedChain): Steps<void> {
  const { map } = chain;
  blob.syncedClusterCount = chain.clusterCount;
  for (const [index, page] of chain.unrooted) {
    if (extentPageAt(map, index) === page) map.unrootedExtentPages.delete(index);
  }
  if (chain.replaced.length > 0) {
    blob.replacedPages = blob.replacedPages.filter((page) => !chain.replaced.includes(page));
    blob.stalePages.push(...chain.replaced);
  }
  if (chain.noted.length > 0) store.insertionLog?.retire(chain.noted);
  return chain.dropped.length > 0 || chain.uncertain.length > 0 ? letGo(store, blob, chain) : ENDED;
}

/** Releases clusters that the disk does not name any more, or marks them as stale. */
function* letGo(store: StoreState, blob: Blob, chain: DecidedChain): Steps<void> {
  const { map } = chain;
  if (chain.dropped.length > 0) yield* eraseNoted(store, blob);
  map.dropped = map.dropped.slice(chain.dropped.length);
  releaseClusters(store, chain.dropped);
  map.uncertain = map.uncertain.filter((each) => !chain.uncertain.includes(each));
  for (const { cluster } of chain.uncertain) blob.staleClusters.push(cluster);
}

/** Steps 7 and 8. If they fail, the disk has the old root or the new one: the pages of both stay allocated. */
function* writeRoot(
  store: StoreState,
  blob: Blob,
  root: MdPageView,
  numbers: MdPage[],
  { leavesBarrier }: PersistOptions,
): Steps<void> {
  const { geometry, deviceChannel } = store;
  const { clusterCount } = blob;
  if (!blob.rootInDoubt) blob.countedMeanwhile = Math.min(blob.syncedClusterCount, blob.rootClusterCount ?? 0);
  try {
    blob.rootInDoubt = true;
    yield* wait(deviceChannel.write(root.bytes, 0, geometry.mdPageToLba(blob.page), geometry.blocksPerPage));
    if (!leavesBarrier || isReleasing(blob, numbers)) yield* store.barrier();
  } catch (error) {
    blob.stalePages.push(...numbers.slice(1));
    blob.syncedClusterCount = Math.max(blob.syncedClusterCount, clusterCount); // extent pages must fit both roots
    throw error;
  } finally {
    blob.rootClusterCount = undefined;
    blob.countedMeanwhile = undefined;
  }
  blob.rootInDoubt = false;
  blob.stalePages.push(...blob.chain.slice(1));
  blob.chain = numbers;
}

/** True if something can be cleared or released once the root is on the medium. */
function isReleasing(blob: Blob, numbers: MdPage[]): boolean {
  const { chain, map, replacedPages, stalePages, staleClusters } = blob;
  const lists = [
    chain.slice(1),
    numbers.slice(1),
    replacedPages,
    stalePages,
    staleClusters,
    map.dropped,
    map.uncertain,
  ];
  return map.clusters.count > blob.clusterCount || lists.some(({ length }) => length > 0);
}

/** Allocates pages for a chain, and links and seals it. ENOSPC, with nothing allocated, when there are not enough. */
function claimChain(store: StoreState, blob: Blob, pages: readonly MdPageView[]): MdPage[] {
  const numbers = [blob.page];
  const more = pages.length - 1;
  if (more > 0) {
    const { pages: usedPages } = store.shared;
    store.shared.locked(() => {
      if (!usedPages.hasFree(more, 0)) {
        const need = `the metadata of blob ${blob.id} needs ${more} more pages of the metadata region, which is full`;
        throw new BlobstoreError('ENOSPC', `${need}: delete blobs or xattrs, then sync again`);
      }
      for (let taken = 0; taken < more; taken++) {
        const page = usedPages.findFree(0) as MdPage;
        usedPages.claim(page);
        numbers.push(page);
      }
    });
  }
  sealChain(pages, numbers);
  return numbers;
}

/**
 * Removes the clusters and extent pages past the blob's end, and past the end in its root on disk, from its map, and
 * marks them as stale.
 */
function setAsideCutOff(blob: Blob): void {
  const { clusters, extentPages } = blob.map;
  const kept = keptClusterCount(blob);
  const keptPages = extentPagesOf(blob, kept);
  if (kept >= clusters.count && keptPages >= extentPages.count) return;
  clusters.forEachSet((cluster) => blob.staleClusters.push(cluster as DeviceCluster), kept);
  clusters.truncate(kept);
  const setAside = (page: number) => {
    blob.stalePages.push(page as MdPage);
    blob.map.unnamedPages.delete(page as MdPage);
  };
  extentPages.forEachSet(setAside, keptPages);
  extentPages.truncate(keptPages);
  blob.publish();
}
