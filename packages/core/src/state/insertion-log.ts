/**
 * The insertion log: clusters that came into the maps of blobs, and that no map on disk names yet.
 *
 * With `power-loss` durability a map waits for the next sync, because a power cut could otherwise leave a map that names a cluster
 * whose content is not there. A process that ends without a power cut loses nothing of what it wrote, in whatever order; so what
 * the maps do not have yet is noted here before the insertion is answered, without a barrier, and the next to open the store takes
 * it over. It believes the log only if the cache that took the writes is still the same (`BlockDevice.cacheOwner`): then every
 * write that was finished before is there, too. After a power cut it is another, and the store is as the last sync left it.
 *
 * The log lies in the places of the masks of used pages and of used blob ids, which nobody reads while a store is in use. Whoever
 * recovers the store or closes it writes the masks, and with that ends the log: the reference, too, and older versions of this
 * engine, which do not know of it. It has little room, and needs little: when it is full the blobs in it are synced.
 *
 * A record is *live* until the blob's root on disk is one whose map was decided upon after the insertion. It may stay on disk for
 * longer, because it says nothing then that the map does not say. Two things keep that true:
 * - before a cluster or page that a blob had is given back, the records of the blob that are not live are taken off the disk
 *   (`erase`). So a record never names what may be somebody else's, nor a blob that is another one by now;
 * - before a snapshot takes a blob's map over, the blob is synced, and all its records are taken off.
 *
 * Only the metadata thread uses it.
 */

import type { BlockDevice, DeviceChannel } from '../device/block-device.js';
import {
  CACHE_OWNER_BYTES,
  decodeInsertionPage,
  INSERTIONS_PER_PAGE,
  InsertionPage,
  type InsertionRecord,
} from '../format/insertion-page.js';
import { maskPages } from '../format/mask.js';
import type { PageRange, SuperBlock } from '../format/super-block.js';
import { Coalescer } from '../steps/coalescer.js';
import { type Steps, wait } from '../steps/steps.js';
import type { Geometry } from '../units/geometry.js';
import { type BlobCluster, type DeviceCluster, type MdPage, PAGE_BYTES } from '../units/units.js';

/** Pages of the log at most: opening a store that was not closed reads them all. */
const LOG_PAGES_MAX = 64;

/** A page of the log. */
export interface LogPage {
  readonly lba: number;
  readonly encoded: InsertionPage;
  /** Live, in the order in which they are on the page. */
  records: NotedInsertion[];
  /** Records before this one are encoded as they are. */
  encodedCount: number;
  /** Blobs, by their first pages, of which the disk may have records here that are not live. */
  erasable: Set<MdPage>;
  /** Writes of the page never overlap; those asked for meanwhile become one. */
  readonly writes: Coalescer;
}

/** A record in the log of a store that is open. */
export interface NotedInsertion extends InsertionRecord {
  readonly home: LogPage;
  /** In `home.records`. */
  position: number;
}

export class InsertionLog {
  readonly #channel: DeviceChannel;
  readonly #geometry: Geometry;
  readonly #owner: Uint8Array;
  /** Writes end at once: no two of them can be under way, and their buffer can be used again. */
  readonly #isSynchronous: boolean;
  readonly #pages: readonly LogPage[];
  readonly #live = new Map<MdPage, Set<NotedInsertion>>();
  /** The record of a blob that may still become longer, by the blob's first page. */
  readonly #growing = new Map<MdPage, NotedInsertion>();
  #order = 0;
  /** The page that takes the next record, if it has room. */
  #next = 0;

  private constructor(
    channel: DeviceChannel,
    device: BlockDevice,
    geometry: Geometry,
    owner: Uint8Array,
    pages: number[],
  ) {
    this.#channel = channel;
    this.#geometry = geometry;
    this.#owner = owner;
    this.#isSynchronous = device.synchronous;
    this.#pages = pages.map((page) => ({
      lba: geometry.pageToLba(page),
      encoded: new InsertionPage(owner),
      records: [],
      encodedCount: 0,
      erasable: new Set(),
      writes: new Coalescer(),
    }));
  }

  /** The log of a store; undefined on a device that cannot say who keeps what was written, or that ends with the process. */
  static of(
    device: BlockDevice,
    channel: DeviceChannel,
    geometry: Geometry,
    block: SuperBlock,
  ): InsertionLog | undefined {
    const { cacheOwner } = device;
    if (!(cacheOwner instanceof Uint8Array) || cacheOwner.length !== CACHE_OWNER_BYTES) return undefined;
    const pages = placesOf(block, geometry.mdPageCount);
    return new InsertionLog(channel, device, geometry, cacheOwner.slice(), pages);
  }

  /** No record is live. */
  get isEmpty(): boolean {
    return this.#live.size === 0;
  }

  /** A blob has live records. */
  has(blobPage: MdPage): boolean {
    return this.#live.has(blobPage);
  }

  /** The first pages of the blobs that have live records. */
  get blobPages(): MdPage[] {
    return [...this.#live.keys()];
  }

  /** The live records of a blob, the newest first. */
  recordsOf(blobPage: MdPage): NotedInsertion[] {
    return [...(this.#live.get(blobPage) ?? [])].sort((a, b) => b.order - a.order);
  }

  /** Reads what a process left that ended without closing the store. Its records are live then. */
  *load(): Steps<void> {
    const bytes = new Uint8Array(PAGE_BYTES);
    for (const page of this.#pages) {
      yield* wait(this.#channel.read(bytes, 0, page.lba, this.#geometry.blocksPerPage));
      for (const record of decodeInsertionPage(bytes, this.#owner) ?? []) {
        this.#keep({ ...record, home: page, position: page.records.length });
        this.#order = Math.max(this.#order, record.order);
      }
    }
  }

  /** Notes an insertion, in memory; answers the page that has to be written, or undefined when the log is full. */
  add(blobPage: MdPage, index: BlobCluster, cluster: DeviceCluster, extentPage: MdPage): LogPage | undefined {
    const last = this.#growing.get(blobPage);
    if (last !== undefined && continues(last, index, cluster, extentPage)) {
      last.count++;
      last.home.encodedCount = Math.min(last.home.encodedCount, last.position);
      return last.home;
    }
    const home = this.#pageWithRoom();
    if (home === undefined) return undefined;
    const order = ++this.#order;
    const position = home.records.length;
    const noted: NotedInsertion = { blobPage, index, cluster, count: 1, extentPage, order, home, position };
    this.#keep(noted);
    this.#growing.set(blobPage, noted);
    return home;
  }

  /** Writes a page as it is then; whoever asks meanwhile shares the next write. */
  write(page: LogPage): Steps<void> {
    return this.#isSynchronous ? this.#writeOnce(page) : page.writes.run(() => this.#writeOnce(page));
  }

  /** The live records of a blob, none of which becomes longer from now on. */
  seal(blobPage: MdPage): readonly NotedInsertion[] {
    this.#growing.delete(blobPage);
    return [...(this.#live.get(blobPage) ?? [])];
  }

  /** What these records say is in a map on disk, or is not to be any more. They may stay on disk until they are erased. */
  retire(records: readonly NotedInsertion[]): void {
    const gone = new Set(records);
    for (const home of new Set(records.map((record) => record.home))) {
      home.records = home.records.filter((record) => !gone.has(record));
      home.records.forEach((record, position) => {
        record.position = position;
      });
      home.encodedCount = 0;
    }
    for (const record of records) {
      record.home.erasable.add(record.blobPage);
      const live = this.#live.get(record.blobPage);
      if (live?.delete(record) && live.size === 0) this.#live.delete(record.blobPage);
      if (this.#growing.get(record.blobPage) === record) this.#growing.delete(record.blobPage);
    }
  }

  /** Takes the records of a blob off the disk that are not live. */
  *erase(blobPage: MdPage): Steps<void> {
    for (const page of this.#pages) {
      // A write under way may be what takes them off, and has not done so yet.
      if (page.erasable.has(blobPage) || page.writes.isRunning) yield* this.write(page);
    }
  }

  #keep(record: NotedInsertion): void {
    record.home.records.push(record);
    const live = this.#live.get(record.blobPage);
    if (live) live.add(record);
    else this.#live.set(record.blobPage, new Set([record]));
  }

  #pageWithRoom(): LogPage | undefined {
    const { length } = this.#pages;
    for (let tried = 0; tried < length; tried++) {
      const page = this.#pages[(this.#next + tried) % length];
      if (page.records.length >= INSERTIONS_PER_PAGE) continue;
      this.#next = (this.#next + tried) % length;
      return page;
    }
    return undefined;
  }

  *#writeOnce(page: LogPage): Steps<void> {
    const { erasable, encoded, records } = page;
    page.erasable = new Set();
    for (let position = page.encodedCount; position < records.length; position++) {
      encoded.put(position, records[position]);
    }
    page.encodedCount = records.length;
    encoded.seal(records.length);
    const bytes = this.#isSynchronous ? encoded.bytes : encoded.bytes.slice();
    try {
      yield* wait(this.#channel.write(bytes, 0, page.lba, this.#geometry.blocksPerPage));
    } catch (error) {
      for (const blobPage of erasable) page.erasable.add(blobPage);
      throw error;
    }
  }
}

/** Pages of the device that the log has: where the masks of used pages and of used blob ids lie, as far as these reach. */
function placesOf({ pageMask, blobIdMask }: SuperBlock, mdPageCount: number): number[] {
  const pages: number[] = [];
  const add = ({ start, count }: PageRange) => {
    const end = start + Math.min(count, maskPages(mdPageCount));
    for (let page = start; page < end && pages.length < LOG_PAGES_MAX; page++) pages.push(page);
  };
  add(pageMask);
  if (blobIdMask.count > 0) add(blobIdMask);
  return pages;
}

/** True when an insertion makes a record longer. */
function continues(record: NotedInsertion, index: number, cluster: number, extentPage: number): boolean {
  const { count } = record;
  return record.extentPage === extentPage && index === record.index + count && cluster === record.cluster + count;
}
