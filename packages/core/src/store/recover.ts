/**
 * Recovery as the specification does it: finds out, from the metadata pages alone, which pages, clusters and blob ids
 * are used. A page is the root of a blob when its id is that of its place, its sequence number is 0, and its crc
 * matches. From the root, recovery follows the chain and the extent pages. Damage there makes it fail; a page that is
 * not a root, for whatever reason, is skipped. `survey/survey.ts` checks more.
 */

import type { DeviceChannel } from '../device/block-device.js';
import { DESCRIPTOR, descriptorsOf } from '../format/descriptor.js';
import { decodeExtentPage, isExtentPage } from '../format/extent-page.js';
import { decodeExtentRle, RUN_BYTES } from '../format/extent-rle.js';
import { decodeExtentTable, type ExtentTableEntry } from '../format/extent-table.js';
import type { MdPageView } from '../format/md-page.js';
import { BitArray } from '../shared/bit-array.js';
import { type DamagedBlob, refusal } from '../state/damage.js';
import type { Masks } from '../state/masks.js';
import { RegionReader } from '../state/region-reader.js';
import type { SharedByBlobs } from '../state/store-state.js';
import type { Steps } from '../steps/steps.js';
import { type KilledDelete, readKilledDelete } from '../survey/killed-delete.js';
import { BlobstoreError } from '../units/error.js';
import type { Geometry } from '../units/geometry.js';
import { blobIdOfPage, CLUSTERS_PER_EXTENT_PAGE, type MdPage, NONE_U32 } from '../units/units.js';

/** The result of recovery. */
export interface Recovered extends Masks {
  /** Clusters that blobs name but the store does not have. */
  missingClusterCount: number;
  /** Pages and clusters that more than one blob names. */
  shared: SharedByBlobs;
  /** Deletions that have to be finished. */
  killedDeletes: KilledDelete[];
  /** The end of the metadata pages that are not zeroes. */
  contentEnd: number;
}

/** What is known about the store that is recovered. */
export interface RecoverySource {
  readonly channel: DeviceChannel;
  readonly geometry: Geometry;
  readonly clusterCount: number;
  /** The store was closed: half-deleted blobs are then damaged ones. */
  readonly wasClosed: boolean;
  /** No metadata page at or above this one was in use; undefined when that is not known. */
  readonly mdPageMark: number | undefined;
}

/** Finds out what is used. EILSEQ, naming pages and blobs, when blobs are damaged. */
export function* recover(source: RecoverySource): Steps<Recovered> {
  const region = new RegionReader(source.channel, source.geometry, source.mdPageMark);
  try {
    return yield* recoverRegion(region, source);
  } finally {
    yield* region.settle();
  }
}

function* recoverRegion(region: RegionReader, { geometry, clusterCount, wasClosed }: RecoverySource): Steps<Recovered> {
  const damaged: DamagedBlob[] = [];
  const halfDeleted: MdPage[] = [];
  const found: Recovered = {
    pages: BitArray.private(geometry.mdPageCount),
    clusters: BitArray.private(clusterCount),
    blobIds: BitArray.private(geometry.mdPageCount),
    missingClusterCount: 0,
    shared: { pages: BitArray.private(geometry.mdPageCount), clusters: BitArray.private(clusterCount) },
    killedDeletes: [],
    contentEnd: 0,
  };
  for (let cluster = 0; cluster < geometry.metadataClusterCount(); cluster++) found.clusters.set(cluster);
  for (let index = yield* region.nextUsed(0); index < region.end; index = yield* region.nextUsed(index + 1)) {
    if (found.pages.get(index)) continue;
    const page = yield* region.anywhere(index as MdPage);
    if (!isRoot(page, index)) continue;
    if (!wasClosed && (yield* isHalfDeleted(region, geometry, page))) {
      halfDeleted.push(index as MdPage);
      region.distrustEnd(); // only SPDK leaves half-deleted blobs, and it does not keep the high-water mark
    } else yield* replayBlob(region, found, damaged, index as MdPage, page, geometry);
  }
  found.contentEnd = region.contentEnd;
  if (damaged.length > 0) throw refusal(damaged);
  for (const page of halfDeleted) yield* reserveKilledDelete(region, found, page, geometry);
  return found;
}

/** True when a later page of a blob's chain is zeroes. */
function* isHalfDeleted(region: RegionReader, geometry: Geometry, root: MdPageView): Steps<boolean> {
  let { next } = root;
  for (let sequence = 1; next < geometry.mdPageCount; sequence++) {
    const page = yield* region.anywhere(next as MdPage);
    if (page.isZero) return true;
    if (!page.isSealed || page.id !== root.id || page.sequence !== sequence) return false;
    next = page.next;
  }
  return false;
}

/** Reserves what a half-deleted blob has until it is cleared. */
function* reserveKilledDelete(region: RegionReader, found: Recovered, page: MdPage, geometry: Geometry): Steps<void> {
  const { pages, clusters } = found;
  const rest = yield* readKilledDelete(region, geometry, clusters.capacity, page, {
    page: (named) => !pages.get(named),
    cluster: (named) => !clusters.get(named),
  });
  for (const named of [page, ...rest.pages]) pages.set(named);
  for (const named of rest.clusters) clusters.set(named);
  found.killedDeletes.push(rest);
}

/** True for the first page of a chain: its id is that of its place, its sequence number is 0, and its crc matches. */
function isRoot(page: MdPageView, index: number): boolean {
  const { view } = page;
  const idFits = view.getUint32(0, true) === index && view.getUint32(4, true) === 1;
  return idFits && page.sequence === 0 && page.isSealed;
}

function* replayBlob(
  region: RegionReader,
  found: Recovered,
  damaged: DamagedBlob[],
  first: MdPage,
  root: MdPageView,
  geometry: Geometry,
): Steps<void> {
  const replay = new BlobReplay(region, found, first, geometry);
  try {
    yield* replay.run(root);
    found.blobIds.set(first);
  } catch (error) {
    if (!(error instanceof BlobstoreError) || error.code !== 'EILSEQ') throw error;
    damaged.push({ id: blobIdOfPage(first), page: first, error });
  }
}

function setOrShare(used: BitArray, shared: BitArray, index: number): void {
  if (used.get(index)) shared.set(index);
  used.set(index);
}

class BlobReplay {
  readonly #region: RegionReader;
  readonly #found: Recovered;
  readonly #first: MdPage;
  readonly #geometry: Geometry;
  readonly #entries: ExtentTableEntry[] = [];
  /** Clusters of the store that the blob names. */
  #namedCount = 0;
  /** Clusters of the blob, according to its extent table. */
  #clusterCount = 0;

  constructor(region: RegionReader, found: Recovered, first: MdPage, geometry: Geometry) {
    this.#region = region;
    this.#found = found;
    this.#first = first;
    this.#geometry = geometry;
  }

  *run(root: MdPageView): Steps<void> {
    let page = root;
    let number: number = this.#first;
    for (let sequence = 1; ; sequence++) {
      this.#usePage(number);
      this.#parse(page, number);
      number = page.next;
      if (number === NONE_U32) break;
      this.#requireFreePage(number, 'its chain goes on at');
      page = yield* this.#region.anywhere(number as MdPage);
      const fits = page.isSealed && page.id === root.id && page.sequence === sequence;
      if (!fits) throw this.#damaged(`metadata page ${number} of its chain is damaged`);
    }
    yield* this.#replayExtentPages();
  }

  #parse(page: MdPageView, number: number): void {
    for (const { type, payloadAt, payloadBytes, fits } of descriptorsOf(page.view)) {
      if (!fits) throw this.#damaged(`a descriptor reaches past metadata page ${number}`);
      if (type === DESCRIPTOR.EXTENT_RLE) this.#parseRuns(page.view, payloadAt, payloadBytes, number);
      else if (type === DESCRIPTOR.EXTENT_TABLE) this.#parseTable(page.view, payloadAt, payloadBytes, number);
      else if (type === DESCRIPTOR.EXTENT_PAGE)
        this.#parseExtents(page.view, payloadAt, payloadBytes, number, Infinity);
      else if (type > DESCRIPTOR.EXTENT_PAGE)
        throw this.#damaged(`metadata page ${number} holds a descriptor of type ${type}`);
    }
  }

  #parseRuns(view: DataView, payloadAt: number, payloadBytes: number, number: number): void {
    const runs = decodeExtentRle(view, payloadAt, payloadBytes - (payloadBytes % RUN_BYTES)); // opening it reports the rest
    if (!runs || runs.every((run) => run.length === 0)) {
      throw this.#damaged(`the runs of clusters on metadata page ${number} are malformed`);
    }
    for (const run of runs) {
      if (run.first !== 0) this.#useClusters(run.first, run.length);
    }
  }

  #parseTable(view: DataView, payloadAt: number, payloadBytes: number, number: number): void {
    const table = decodeExtentTable(view, payloadAt, payloadBytes);
    if (!table) throw this.#damaged(`the extent table on metadata page ${number} is malformed`);
    this.#clusterCount = table.clusterCount;
    this.#entries.push(...table.entries);
  }

  *#replayExtentPages(): Steps<void> {
    let index = 0;
    for (const { page: number, count } of this.#entries) {
      if (number !== 0) {
        this.#requirePage(number, 'its extent table names');
        const page = yield* this.#region.anywhere(number);
        if (!isExtentPage(page)) throw this.#damaged(`metadata page ${number} is no extent page`);
        this.#usePage(number);
        this.#parseExtentPage(page, number, index);
      }
      index += count;
    }
  }

  /** Entries past the blob's size, which a larger size wrote and never synced, are ignored. */
  #parseExtentPage(page: MdPageView, number: number, index: number): void {
    const [descriptor] = descriptorsOf(page.view);
    const expected = Math.min(CLUSTERS_PER_EXTENT_PAGE, this.#clusterCount - index * CLUSTERS_PER_EXTENT_PAGE);
    this.#parseExtents(page.view, descriptor.payloadAt, descriptor.payloadBytes, number, expected);
  }

  #parseExtents(view: DataView, payloadAt: number, payloadBytes: number, number: number, expected: number): void {
    const extent = decodeExtentPage(view, payloadAt, payloadBytes);
    if (!extent) throw this.#damaged(`the extents on metadata page ${number} are malformed`);
    for (let at = 0; at < Math.min(expected, extent.clusterCount); at++) {
      const cluster = extent.clusterAt(at);
      if (cluster !== 0) this.#useClusters(cluster, 1);
    }
  }

  #requirePage(number: number, how: string): void {
    if (number < this.#geometry.mdPageCount) return;
    throw this.#damaged(`${how} page ${number}, outside the metadata region`);
  }

  /**
   * A page of a chain must belong to one blob only. An extent page may also belong to a snapshot that was being created
   * or deleted.
   */
  #requireFreePage(number: number, how: string): void {
    this.#requirePage(number, how);
    if (this.#found.pages.get(number)) {
      throw this.#damaged(`${how} page ${number}, which is in use already`);
    }
  }

  #usePage(page: number): void {
    setOrShare(this.#found.pages, this.#found.shared.pages, page);
  }

  /** Clusters that the store does not have are ignored: opening the blob reports them. */
  #useClusters(first: number, count: number): void {
    const { clusters, shared } = this.#found;
    const present = Math.max(0, Math.min(count, clusters.capacity - first));
    this.#namedCount += present;
    if (this.#namedCount > clusters.capacity) throw this.#damaged('it names more clusters than the store has');
    for (let at = 0; at < present; at++) setOrShare(clusters, shared.clusters, first + at);
    this.#found.missingClusterCount += count - present;
  }

  #damaged(how: string): BlobstoreError {
    return new BlobstoreError('EILSEQ', `blob ${blobIdOfPage(this.#first)} is damaged: ${how}`);
  }
}
