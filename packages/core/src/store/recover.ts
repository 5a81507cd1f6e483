/**
 * Recovery: finds out, from the metadata pages alone, which pages, clusters and blob ids are used. A page is the root of a
 * blob when it carries the id that belongs to its place, sequence number 0 and a fitting crc; from there its chain and its
 * extent pages are followed. The region is read in large batches, in order.
 */

import type { DeviceChannel } from '../device/block-device.js';
import { BlobstoreError } from '../error.js';
import { DESCRIPTOR, descriptorsOf } from '../format/descriptor.js';
import { decodeExtentPage, isExtentPage } from '../format/extent-page.js';
import { decodeExtentRle, RUN_BYTES } from '../format/extent-rle.js';
import { decodeExtentTable, type ExtentTableEntry } from '../format/extent-table.js';
import { MdPageView } from '../format/md-page.js';
import { type Steps, wait } from '../metadata/steps.js';
import { BitArray } from '../shared/bit-array.js';
import type { Geometry } from '../units/geometry.js';
import {
  blobIdOfPage,
  CLUSTERS_PER_EXTENT_PAGE,
  type DeviceCluster,
  type MdPage,
  NONE_U32,
  PAGE_BYTES,
} from '../units/units.js';
import type { Masks } from './masks.js';
import type { DamagedBlob, SharedByBlobs } from './store-state.js';

/** What recovery found. */
export interface Recovered extends Masks {
  /** Blobs that were set aside: what was found of them stays used, but their ids do not count. */
  damaged: DamagedBlob[];
  /** Clusters that damaged blobs name and the store does not have. */
  missingClusterCount: number;
  /** What more than one blob names. */
  shared: SharedByBlobs;
}

const BATCH_PAGES = 256;
/** Damaged blobs that an error message names. */
const NAMED_MAX = 8;

/**
 * Recovers what is used.
 * @throws EILSEQ when a blob is damaged and `onDamage` is `refuse`: naming pages and blobs.
 */
export function* recover(
  channel: DeviceChannel,
  geometry: Geometry,
  clusterCount: number,
  onDamage: 'refuse' | 'set-aside',
): Steps<Recovered> {
  const region = new RegionReader(channel, geometry);
  const found: Recovered = {
    pages: BitArray.private(geometry.mdPageCount),
    clusters: BitArray.private(clusterCount),
    blobIds: BitArray.private(geometry.mdPageCount),
    damaged: [],
    missingClusterCount: 0,
    shared: { pages: BitArray.private(geometry.mdPageCount), clusters: BitArray.private(clusterCount) },
  };
  for (let cluster = 0; cluster < geometry.metadataClusterCount(); cluster++) found.clusters.set(cluster);
  for (let index = 0; index < geometry.mdPageCount; index++) {
    if (found.pages.get(index)) continue;
    const page = yield* region.inOrder(index as MdPage);
    if (isRoot(page, index)) yield* replayBlob(region, found, index as MdPage, page, geometry);
    if (index % BATCH_PAGES === 0) yield undefined;
  }
  if (found.damaged.length > 0 && onDamage === 'refuse') throw refusal(found.damaged);
  return found;
}

/** True when a page carries the id that belongs to its place, as the first of a chain. */
function isRoot(page: MdPageView, index: number): boolean {
  const { view } = page;
  const idFits = view.getUint32(0, true) === index && view.getUint32(4, true) === 1;
  return idFits && page.sequence === 0 && page.isSealed;
}

/** What a blob's pages say that it uses. Clusters that the store does not have are left out: opening the blob sees them. */
interface Used {
  pages: MdPage[];
  clusters: DeviceCluster[];
}

function* replayBlob(
  region: RegionReader,
  found: Recovered,
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
    found.damaged.push({ id: blobIdOfPage(first), page: first, error });
  }
  for (const page of replay.used.pages) setOrShare(found.pages, found.shared.pages, page);
  for (const cluster of replay.used.clusters) setOrShare(found.clusters, found.shared.clusters, cluster);
}

function setOrShare(used: BitArray, shared: BitArray, index: number): void {
  if (used.get(index)) shared.set(index);
  used.set(index);
}

class BlobReplay {
  readonly used: Used = { pages: [], clusters: [] };
  readonly #region: RegionReader;
  readonly #found: Recovered;
  readonly #first: MdPage;
  readonly #geometry: Geometry;
  readonly #entries: ExtentTableEntry[] = [];
  /** Clusters in the blob by its extent table. */
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
    for (;;) {
      this.used.pages.push(number as MdPage);
      this.#parse(page, number);
      number = page.next;
      if (number === NONE_U32) break;
      this.#requireFreePage(number, 'its chain goes on at');
      page = yield* this.#region.anywhere(number as MdPage);
      const fits = page.isSealed && page.id === root.id && page.sequence === this.used.pages.length;
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
    const runs = decodeExtentRle(view, payloadAt, payloadBytes - (payloadBytes % RUN_BYTES)); // opening it sees what is wrong
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
        this.used.pages.push(number);
        this.#parseExtentPage(page, number, index);
      }
      index += count;
    }
  }

  /** Entries past the blob's size, written by a larger size that was never synced, do not count. */
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

  /** A page of a chain belongs to nobody else; an extent page may be a snapshot's too that was being made or deleted. */
  #requireFreePage(number: number, how: string): void {
    this.#requirePage(number, how);
    if (this.#found.pages.get(number) || this.used.pages.includes(number as MdPage)) {
      throw this.#damaged(`${how} page ${number}, which is in use already`);
    }
  }

  #useClusters(first: number, count: number): void {
    const present = Math.max(0, Math.min(count, this.#found.clusters.capacity - first));
    for (let at = 0; at < present; at++) this.used.clusters.push((first + at) as DeviceCluster);
    this.#found.missingClusterCount += count - present;
  }

  #damaged(how: string): BlobstoreError {
    return new BlobstoreError('EILSEQ', `blob ${blobIdOfPage(this.#first)} is damaged: ${how}`);
  }
}

/** Reads the metadata region, in batches where it is read in order. */
class RegionReader {
  readonly #channel: DeviceChannel;
  readonly #geometry: Geometry;
  #batch: Uint8Array = new Uint8Array(0);
  #batchStart = 0;

  constructor(channel: DeviceChannel, geometry: Geometry) {
    this.#channel = channel;
    this.#geometry = geometry;
  }

  /** A page, read together with those that follow it. */
  *inOrder(page: MdPage): Steps<MdPageView> {
    if (!this.#hasRead(page)) {
      const count = Math.min(BATCH_PAGES, this.#geometry.mdPageCount - page);
      this.#batch = yield* this.#read(page, count);
      this.#batchStart = page;
    }
    return this.#fromBatch(page);
  }

  /** A page, from the batch if it is there. */
  *anywhere(page: MdPage): Steps<MdPageView> {
    if (this.#hasRead(page)) return this.#fromBatch(page);
    return new MdPageView(yield* this.#read(page, 1));
  }

  #hasRead(page: number): boolean {
    return page >= this.#batchStart && (page - this.#batchStart + 1) * PAGE_BYTES <= this.#batch.length;
  }

  #fromBatch(page: number): MdPageView {
    return new MdPageView(this.#batch, (page - this.#batchStart) * PAGE_BYTES);
  }

  *#read(page: MdPage, count: number): Steps<Uint8Array> {
    const bytes = new Uint8Array(count * PAGE_BYTES);
    const { blocksPerPage } = this.#geometry;
    yield* wait(this.#channel.read(bytes, 0, this.#geometry.mdPageToLba(page), count * blocksPerPage));
    return bytes;
  }
}

function refusal(damaged: readonly DamagedBlob[]): BlobstoreError {
  const named = damaged
    .slice(0, NAMED_MAX)
    .map((blob) => blob.error.message)
    .join('; ');
  const more = damaged.length > NAMED_MAX ? `; and ${damaged.length - NAMED_MAX} more` : '';
  const advice = "open with onDamage: 'set-aside' to use the others";
  return new BlobstoreError('EILSEQ', `the store cannot be recovered: ${named}${more}; ${advice}`);
}
