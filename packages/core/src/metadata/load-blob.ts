/** Reads a blob's metadata from disk. Nothing there is trusted: everything is checked. */

import { type Blob, INTERNAL_XATTR } from '../blob/blob.js';
import { DESCRIPTOR, type Descriptor, descriptorsOf } from '../format/descriptor.js';
import { decodeExtentPage, type ExtentPage, hasOnlyExtents } from '../format/extent-page.js';
import { decodeExtentRle } from '../format/extent-rle.js';
import { decodeExtentTable, type ExtentTableEntry, NO_EXTENT_PAGE } from '../format/extent-table.js';
import {
  clearMethodOf,
  DATA_RO_FLAG_READ_ONLY,
  DATA_RO_FLAGS_KNOWN,
  decodeFlags,
  INVALID_FLAGS_KNOWN,
  MD_RO_FLAGS_KNOWN,
} from '../format/flags.js';
import type { MdPageView } from '../format/md-page.js';
import { decodeXattr } from '../format/xattr.js';
import type { StoreState } from '../state/store-state.js';
import type { Steps } from '../steps/steps.js';
import { BlobstoreError, UnavailableBlobError } from '../units/error.js';
import { extentPageIndex, extentPagesFor } from '../units/extent-pages.js';
import { CLUSTERS_PER_EXTENT_PAGE, type MdPage, NONE_U32 } from '../units/units.js';
import { applyInsertions } from './apply-insertions.js';
import { requireMapFits } from './map-limit.js';

/** What the chain says about the blob's size, collected while the chain is read. */
interface Sizing {
  /** True when runs of clusters were found. */
  hasRuns: boolean;
  /** Clusters of the blob according to its extent table; undefined without a table. */
  tableClusterCount: number | undefined;
  readonly tableEntries: ExtentTableEntry[];
}

/**
 * The blob was being deleted when the process was killed: a later page of its chain is zeroes, and its root is not.
 * SPDK zeroes a chain before its root. Found only while a store that was not closed is recovered.
 */
export class HalfDeletedError extends BlobstoreError {}

/**
 * Fills `blob` from disk. Opens neither a clone's parent nor an external snapshot; their ids are set. The blob is
 * `dirty` then if the metadata on disk needs to be corrected.
 * @throws ENOENT when the page holds another blob, EINVAL when the metadata is damaged, and what the device throws
 */
export function* readMetadata(store: StoreState, blob: Blob): Steps<void> {
  blob.state = 'loading';
  const sizing: Sizing = { hasRuns: false, tableClusterCount: undefined, tableEntries: [] };
  for (let next: number = blob.page; next !== NONE_U32; ) {
    if (next >= store.geometry.mdPageCount)
      throw damaged(blob, `its chain goes on at page ${next}, outside the metadata region`);
    const page = store.pageBuffers.take();
    const answer = readMdPage(store, page, next as MdPage);
    if (answer !== undefined) yield answer;
    checkChainPage(store, blob, page, next);
    blob.chain.push(next as MdPage);
    parseChainPage(store, blob, page, sizing);
    next = page.next;
    store.pageBuffers.give(page);
  }
  const { tableClusterCount } = sizing;
  blob.usesExtentTable = tableClusterCount !== undefined;
  if (tableClusterCount !== undefined) {
    takeExtentTable(store, blob, tableClusterCount, sizing.tableEntries);
    if (blob.extentPageCount > 0) yield* readExtentPages(store, blob, tableClusterCount);
  }
  concludeReading(store, blob);
}

function concludeReading(store: StoreState, blob: Blob): void {
  if (blob.clearMethod === 'default') blob.clearMethod = clearMethodOf(blob.flags.mdRo);
  blob.syncedClusterCount = Math.max(blob.syncedClusterCount, blob.clusterCount);
  applyInsertions(store, blob);
  if (blob.isExternalClone || !blob.isThin) return;
  const parentId = blob.internalId(INTERNAL_XATTR.SNAPSHOT);
  if (parentId === undefined) return;
  blob.parentId = parentId;
  if (!blob.isClone) throw damaged(blob, `the id of its snapshot, ${parentId}, is that of no blob`);
}

function checkChainPage(store: StoreState, blob: Blob, page: MdPageView, number: number): void {
  const isFirst = blob.chain.length === 0;
  if (!isFirst && store.isRecovering && page.isZero)
    throw new HalfDeletedError('EINVAL', `blob ${blob.id} is damaged: metadata page ${number} of its chain is zeroes`);
  if (!page.isSealed) throw damaged(blob, `the crc of metadata page ${number} does not fit`);
  if (isFirst && page.id !== blob.id) {
    throw new BlobstoreError('ENOENT', `there is no blob ${blob.id}: its page holds ${page.id}`);
  }
  if (page.id !== blob.id || page.sequence !== blob.chain.length) {
    // This also finds a chain with a cycle.
    throw damaged(blob, `metadata page ${number} of its chain is page ${page.sequence} of blob ${page.id}`);
  }
}

/**
 * Reads a metadata page, without checks, into one of the store's buffers. Returns a promise if that is not done yet.
 */
function readMdPage(store: StoreState, page: MdPageView, number: MdPage): Promise<void> | undefined {
  const { geometry, deviceChannel } = store;
  const ahead = store.regionReader ?? store.pagesAhead;
  if (ahead?.copyTo(page.bytes, number)) return undefined;
  return deviceChannel.read(page.bytes, 0, geometry.mdPageToLba(number), geometry.blocksPerPage) ?? undefined;
}

function parseChainPage(store: StoreState, blob: Blob, page: MdPageView, sizing: Sizing): void {
  for (const descriptor of descriptorsOf(page.view)) {
    if (descriptor.type > DESCRIPTOR.EXTENT_PAGE) continue; // of a newer version; the flags say if it may be ignored
    if (!descriptor.fits) throw damaged(blob, 'a descriptor reaches past its metadata page');
    parseDescriptor(store, blob, page, descriptor, sizing);
  }
}

function parseDescriptor(store: StoreState, blob: Blob, page: MdPageView, found: Descriptor, sizing: Sizing): void {
  const { type, payloadAt, payloadBytes } = found;
  switch (type) {
    case DESCRIPTOR.FLAGS:
      parseFlags(blob, page.view, payloadAt, payloadBytes);
      return;
    case DESCRIPTOR.XATTR:
    case DESCRIPTOR.XATTR_INTERNAL: {
      const xattr = decodeXattr(page.bytes, page.view, payloadAt, payloadBytes);
      if (!xattr) throw damaged(blob, 'the lengths of an xattr do not add up');
      (type === DESCRIPTOR.XATTR ? blob.xattrs : blob.internalXattrs).append(xattr);
      return;
    }
    case DESCRIPTOR.EXTENT_RLE:
      if (sizing.tableClusterCount !== undefined)
        throw damaged(blob, 'it has both an extent table and runs of clusters');
      sizing.hasRuns = true;
      parseRuns(store, blob, page.view, payloadAt, payloadBytes);
      return;
    case DESCRIPTOR.EXTENT_TABLE:
      if (sizing.hasRuns) throw damaged(blob, 'it has both runs of clusters and an extent table');
      parseExtentTable(store, blob, page.view, payloadAt, payloadBytes, sizing);
      return;
    default:
      throw damaged(blob, 'an extent page stands in its chain');
  }
}

function parseFlags(blob: Blob, view: DataView, payloadAt: number, payloadBytes: number): void {
  const flags = decodeFlags(view, payloadAt, payloadBytes);
  if (!flags) throw damaged(blob, 'its flags have the wrong length');
  if ((flags.invalid & ~INVALID_FLAGS_KNOWN) !== 0n) {
    const found = `flags 0x${flags.invalid.toString(16)} of a newer version, without which it cannot be opened`;
    throw new UnavailableBlobError('EINVAL', `blob ${blob.id} has ${found}`);
  }
  const readOnly = (flags.dataRo & ~DATA_RO_FLAGS_KNOWN) !== 0n || (flags.dataRo & DATA_RO_FLAG_READ_ONLY) !== 0n;
  if (readOnly) blob.dataRo = true;
  if (readOnly || (flags.mdRo & ~MD_RO_FLAGS_KNOWN) !== 0n) blob.mdRo = true;
  blob.flags = flags;
}

function parseRuns(store: StoreState, blob: Blob, view: DataView, payloadAt: number, payloadBytes: number): void {
  const runs = decodeExtentRle(view, payloadAt, payloadBytes);
  if (!runs) throw damaged(blob, 'the length of its runs of clusters is no whole number of runs');
  const { clusters } = blob.map;
  const total = runs.reduce((sum, run) => sum + run.length, clusters.count);
  if (total === 0) throw damaged(blob, 'its runs of clusters are empty');
  for (const run of runs) {
    if (run.first === 0 ? !blob.isThin : !ownsClusters(store, run.first, run.length)) {
      throw damaged(blob, `a run of ${run.length} clusters from ${run.first} is not allocated`);
    }
  }
  requireMapFits(store, blob.id, total);
  let index = clusters.count;
  clusters.extend(total);
  for (const run of runs) {
    for (let at = 0; run.first !== 0 && at < run.length; at++) clusters.set(index + at, run.first + at);
    if (run.first !== 0) blob.map.allocatedCount += run.length;
    index += run.length;
  }
  blob.clusterCount = total;
}

/**
 * True when clusters are marked as used, and do not hold the store's own metadata. While it is not known yet which
 * clusters are used: when they are inside the store.
 */
function ownsClusters(store: StoreState, first: number, count: number): boolean {
  if (first < store.geometry.metadataClusterCount()) return false;
  if (first + count > store.shared.clusters.capacity) return false;
  if (!store.knowsUsed) return true;
  return store.shared.locked(() => {
    for (let at = 0; at < count; at++) if (!store.shared.clusters.isAllocated(first + at)) return false;
    return true;
  });
}

function parseExtentTable(
  store: StoreState,
  blob: Blob,
  view: DataView,
  payloadAt: number,
  payloadBytes: number,
  sizing: Sizing,
): void {
  const table = decodeExtentTable(view, payloadAt, payloadBytes);
  if (!table) throw damaged(blob, 'its extent table is malformed');
  if (sizing.tableClusterCount !== undefined && sizing.tableClusterCount !== table.clusterCount) {
    throw damaged(blob, 'the parts of its extent table disagree about its size');
  }
  sizing.tableClusterCount = table.clusterCount;
  for (const entry of table.entries) {
    if (entry.page === 0 ? !blob.isThin : entry.page >= store.geometry.mdPageCount) {
      throw damaged(blob, `its extent table names page ${entry.page}, which it cannot have`);
    }
    sizing.tableEntries.push(entry);
  }
}

/** Takes the blob's size, and the numbers of its extent pages, from the extent table. */
function takeExtentTable(
  store: StoreState,
  blob: Blob,
  tableClusterCount: number,
  entries: readonly ExtentTableEntry[],
): void {
  const { map } = blob;
  blob.extentPageCount = entries.reduce((sum, { count }) => sum + count, 0);
  if (extentPagesFor(tableClusterCount) !== blob.extentPageCount) {
    throw damaged(blob, `its extent table has ${blob.extentPageCount} entries for ${tableClusterCount} clusters`);
  }
  requireMapFits(store, blob.id, tableClusterCount);
  map.extentPages.extend(blob.extentPageCount);
  let index = 0;
  for (const { page, count } of entries) {
    if (page !== NO_EXTENT_PAGE) map.extentPages.set(index, page);
    index += count;
  }
  map.clusters.extend(tableClusterCount);
  blob.clusterCount = tableClusterCount;
}

/**
 * Reads the extent pages. The extent table gives the size. A page may have been written through for another size of the
 * blob that was never synced. If that size was larger, the page is cut; if it was smaller, the page is filled up with
 * unallocated clusters. In a store that was not closed, the first page that is shorter than the table says is the end
 * of the blob: the blob was being made smaller, and its root was not written yet.
 */
function* readExtentPages(store: StoreState, blob: Blob, tableClusterCount: number): Steps<void> {
  const { map } = blob;
  let end = tableClusterCount;
  const indices: number[] = [];
  map.extentPages.forEachSet((_page, index) => indices.push(index));
  for (const index of indices) {
    const number = map.extentPages.get(index) as MdPage;
    const page = store.pageBuffers.take();
    const answer = readMdPage(store, page, number);
    if (answer !== undefined) yield answer;
    const extent = checkExtentPage(blob, page, number, index);
    const start = index * CLUSTERS_PER_EXTENT_PAGE;
    const expected = Math.min(CLUSTERS_PER_EXTENT_PAGE, tableClusterCount - start);
    if (store.isRecovering && extent.clusterCount < expected) end = Math.min(end, start + extent.clusterCount);
    mapExtent(store, blob, extent, start, expected);
    store.pageBuffers.give(page);
  }
  if (end < tableClusterCount) cutAt(blob, end);
}

/** Makes a blob as short as its extent pages are. The next persist clears the rest of its map. */
function cutAt(blob: Blob, clusterCount: number): void {
  const { map } = blob;
  blob.syncedClusterCount = blob.clusterCount;
  blob.clusterCount = clusterCount;
  blob.extentPageCount = extentPagesFor(clusterCount);
  map.allocatedCount = map.clusters.countSet(clusterCount);
  blob.state = 'dirty';
}

function checkExtentPage(blob: Blob, page: MdPageView, number: MdPage, index: number): ExtentPage {
  if (!page.isSealed) throw damaged(blob, `the crc of its extent page ${number} does not fit`);
  if (page.next !== NONE_U32) throw damaged(blob, `its extent page ${number} is followed by another page`);
  if (!hasOnlyExtents(page))
    throw new BlobstoreError('ENOENT', `blob ${blob.id} is damaged: page ${number} is no extent page`);
  const [descriptor] = descriptorsOf(page.view);
  const extent = decodeExtentPage(page.view, descriptor.payloadAt, descriptor.payloadBytes);
  if (!extent || extent.startCluster !== index * CLUSTERS_PER_EXTENT_PAGE) {
    throw damaged(blob, `its extent page ${number} does not map the clusters that it should`);
  }
  return extent;
}

function mapExtent(store: StoreState, blob: Blob, extent: ExtentPage, start: number, expected: number): void {
  const { map } = blob;
  // The blob may be a snapshot that is being deleted: its clone may have taken over an extent page, and shortened it.
  const isCut = store.isRecovering && extent.clusterCount < expected;
  const mayHaveHoles = blob.isThin || blob.internalXattrs.get(INTERNAL_XATTR.SNAPSHOT_PENDING_REMOVAL) !== undefined;
  const { clusters: pool } = store.shared;
  const firstDataCluster = store.geometry.metadataClusterCount();
  store.shared.locked(() => {
    const used = pool.bits();
    const isUsed = (cluster: number) => (store.knowsUsed ? used.get(cluster) : cluster < used.capacity);
    const isOwned = (cluster: number) => cluster >= firstDataCluster && isUsed(cluster);
    for (let at = 0; at < (isCut ? extent.clusterCount : expected); at++) {
      const cluster = at < extent.clusterCount ? extent.clusterAt(at) : 0;
      if (cluster === 0 ? !mayHaveHoles : !isOwned(cluster)) {
        throw damaged(blob, `its cluster ${start + at} lies at cluster ${cluster}, which is not allocated`);
      }
      if (cluster === 0) continue;
      map.clusters.set(start + at, cluster);
      map.allocatedCount++;
    }
  });
  // Entries past the end, which a larger size wrote and never synced, must not take effect when the blob grows again.
  for (let at = expected; at < extent.clusterCount; at++) {
    if (extent.clusterAt(at) !== 0) map.dirtyExtentPages.add(extentPageIndex(start));
  }
}

function damaged(blob: Blob, how: string): BlobstoreError {
  return new BlobstoreError('EINVAL', `blob ${blob.id} is damaged: ${how}`);
}
