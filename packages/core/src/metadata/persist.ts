/**
 * Writing a blob's metadata. The order on disk is the order in the code below, and each step is safe to be the last one:
 *
 * 1. mark the store dirty
 * 2. barrier: what new clusters hold is on the medium before a map names them
 * 3. extent pages that changed, in place; one that shrank keeps its tail for now
 * 4. the chain but for its first page, on pages that nothing names yet
 * 5. barrier
 * 6. the first page: from here on the new metadata is what counts
 * 7. barrier
 * 8. extent pages that shrank
 * 9. zero the old chain, clear clusters that were cut off; barrier; release them
 *
 * Persists of one blob never overlap: those asked for while one is under way share the next one.
 */

import type { Blob } from '../blob/blob.js';
import { BlobstoreError } from '../error.js';
import { encodeChain, sealChain } from '../format/blob-chain.js';
import { DATA_RO_FLAG_READ_ONLY } from '../format/flags.js';
import type { MdPageView } from '../format/md-page.js';
import type { StoreState } from '../store/store-state.js';
import { markDirty } from '../store/super-block-io.js';
import type { DeviceCluster, MdPage } from '../units/units.js';
import { clearStale, releaseClusters, releasePages } from './clearing.js';
import { writeExtentPage } from './extent-pages.js';
import { Batch, type Steps, wait } from './steps.js';

/** Writes what memory has and the disk has not; nothing if there is nothing. */
export function* persist(store: StoreState, blob: Blob): Steps<void> {
  if (blob.state === 'clean' && !blob.persists.isRunning) return;
  yield* blob.persists.run(() => persistOnce(store, blob));
}

/** Persists, and makes a blob read-only that was told to become so. */
export function* sync(store: StoreState, blob: Blob): Steps<void> {
  yield* persist(store, blob);
  if ((blob.flags.dataRo & DATA_RO_FLAG_READ_ONLY) === 0n) return;
  blob.dataRo = true;
  blob.mdRo = true;
  blob.publish();
}

function* persistOnce(store: StoreState, blob: Blob): Steps<void> {
  try {
    yield* markDirty(store);
    const wasCut = blob.map.clusters.count > blob.clusterCount;
    const wroteExtentPages = yield* writeDirtyExtentPages(store, blob);
    yield* writeChain(store, blob, wroteExtentPages);
    if (wasCut) yield* trimLastExtentPage(store, blob);
    setAsideCutOff(blob);
    yield* clearStale(store, blob);
  } catch (error) {
    blob.state = 'dirty';
    throw error;
  }
}

/** Steps 2 and 3; answers whether anything was written. */
function* writeDirtyExtentPages(store: StoreState, blob: Blob): Steps<boolean> {
  const { map } = blob;
  const dropped = map.dropped.length;
  const changed = new Set([...map.dirtyExtentPages, ...blob.lengthenedExtentPages]);
  const dirty = [...changed].filter((index) => index < blob.extentPageCount).sort((a, b) => a - b);
  if (dirty.length > 0 || dropped > 0 || !blob.usesExtentTable) yield* store.barrier();
  let wrote = false;
  for (const index of dirty) {
    if (map.extentPages.get(index) === 0) {
      map.dirtyExtentPages.delete(index);
      blob.lengthenedExtentPages.delete(index);
    } else {
      yield* writeExtentPage(store, blob, index, Math.max(blob.clusterCount, keptClusterCount(blob)));
      wrote = true;
    }
  }
  return wrote;
}

/** Clusters that the root on disk counts and memory still knows. */
function keptClusterCount(blob: Blob): number {
  return Math.min(blob.syncedClusterCount, blob.map.clusters.count);
}

/** Steps 4 to 7. */
function* writeChain(store: StoreState, blob: Blob, wroteExtentPages: boolean): Steps<void> {
  const { geometry, deviceChannel } = store;
  const { clusterCount, map } = blob;
  const unrooted = [...map.unrootedExtentPages];
  const dropped = map.dropped;
  const pages = encodeChain(blob.chainContent());
  const numbers = claimChain(store, blob, pages);
  blob.state = 'clean'; // unless it is changed again while the pages are written
  try {
    const batch = new Batch();
    pages.slice(1).forEach((page, index) => {
      batch.add(() =>
        deviceChannel.write(page.bytes, 0, geometry.mdPageToLba(numbers[index + 1]), geometry.blocksPerPage),
      );
    });
    yield* batch.close();
    if (pages.length > 1 || wroteExtentPages) yield* store.barrier();
  } catch (error) {
    releasePages(store, numbers.slice(1)); // nothing on disk names them
    throw error;
  }
  yield* writeRoot(store, blob, pages[0], numbers);
  blob.syncedClusterCount = clusterCount;
  for (const index of unrooted) map.unrootedExtentPages.delete(index);
  map.dropped = map.dropped.slice(dropped.length);
  releaseClusters(store, dropped);
}

/** Steps 6 and 7. When they fail the disk has the old root or the new one: the pages of both stay taken. */
function* writeRoot(store: StoreState, blob: Blob, root: MdPageView, numbers: MdPage[]): Steps<void> {
  const { geometry, deviceChannel } = store;
  try {
    blob.rootInDoubt = true;
    yield* wait(deviceChannel.write(root.bytes, 0, geometry.mdPageToLba(blob.page), geometry.blocksPerPage));
    yield* store.barrier();
  } catch (error) {
    blob.stalePages.push(...numbers.slice(1));
    throw error;
  }
  blob.rootInDoubt = false;
  blob.stalePages.push(...blob.chain.slice(1));
  blob.chain = numbers;
}

/** Takes pages for a chain, and links and seals it. ENOSPC, and nothing taken, when there are not enough. */
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

/** Step 8. */
function* trimLastExtentPage(store: StoreState, blob: Blob): Steps<void> {
  const last = blob.extentPageCount - 1;
  if (last < 0 || blob.map.extentPages.get(last) === 0) return;
  yield* writeExtentPage(store, blob, last, blob.clusterCount);
}

/** Takes the clusters and extent pages past the blob's end out of its map, to be cleared. */
function setAsideCutOff(blob: Blob): void {
  const { clusters, extentPages } = blob.map;
  for (let index = blob.clusterCount; index < clusters.count; index++) {
    const cluster = clusters.get(index) as DeviceCluster;
    if (cluster !== 0) blob.staleClusters.push(cluster);
  }
  clusters.truncate(blob.clusterCount);
  for (let index = blob.extentPageCount; index < extentPages.count; index++) {
    const page = extentPages.get(index) as MdPage;
    if (page !== 0) blob.stalePages.push(page);
  }
  extentPages.truncate(blob.extentPageCount);
}
