/**
 * The insertion log: clusters that were inserted into the maps of blobs, and that no map on disk names yet.
 *
 * With `power-loss` durability, a map is not written before the next sync, because after a power cut it could name a
 * cluster whose content was never written. When only the process ends, no finished write is lost. So each
 * insertion is recorded here before it is acknowledged, without a write barrier, and the next open of the store applies
 * the records. It trusts the log only if the cache that took the writes is still the same one
 * (`BlockDevice.cacheOwner`): then every write that had finished before the record is there, too. After a power cut the
 * cache is another one, and the store is as the last sync left it.
 *
 * The log takes the places of the masks of used pages and used blob ids, which are not read while a store is in use.
 * Recovery erases the log, and closing writes the masks over it. SPDK, and older versions of this engine, write the
 * masks in both cases, without knowing of the log. A small log is enough: when it is full, the blobs in it are synced.
 *
 * A record is *live* until the disk has a root, and with it a map, that was encoded after the insertion. A record that
 * is not live may stay on disk longer, because the map on disk says the same. Two rules keep that true:
 * - Before a cluster or page of a blob is freed, the records of the blob that are not live are erased from the disk
 *   (`erase`). So a record never names a cluster or page that another blob may have, or a blob whose id has been used
 *   again.
 * - Before a snapshot takes over the map of a blob, the blob is synced, and all its records are erased.
 *
 * Only the metadata thread uses the log.
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
import { ENDED, type Steps, wait } from '../steps/steps.js';
import type { Geometry } from '../units/geometry.js';
import { type BlobCluster, type DeviceCluster, type MdPage, PAGE_BYTES } from '../units/units.js';

/** The most pages of the log. Opening a store that was not closed reads all of them. */
const LOG_PAGES_MAX = 64;

/** A page of the log. */
export interface LogPage {
  readonly lba: number;
  readonly encoded: InsertionPage;
  /** The live records, in the order in which they are on the page. */
  records: NotedInsertion[];
  /** The number of records, from the first on, whose encoding is up to date. */
  encodedCount: number;
  /** The first pages of blobs that may have records here on disk that are not live. */
  erasable: Set<MdPage>;
  /** Writes of the page never overlap. All callers during a write share the next one. */
  readonly writes: Coalescer;
}

/** A live record of an open store. */
export interface NotedInsertion extends InsertionRecord {
  readonly home: LogPage;
  /** The index in `home.records`. */
  position: number;
}

/** The insertion log of an open store. Metadata thread. */
export class InsertionLog {
  readonly #channel: DeviceChannel;
  readonly #geometry: Geometry;
  readonly #owner: Uint8Array;
  /** True on a synchronous device. There a write ends in its call, so writes do not overlap, and can share a buffer. */
  readonly #isSynchronous: boolean;
  readonly #pages: readonly LogPage[];
  readonly #live = new Map<MdPage, Set<NotedInsertion>>();
  /** The newest record of a blob, which the next insertion may extend, by the first page of the blob. */
  readonly #growing = new Map<MdPage, NotedInsertion>();
  #order = 0;
  /** The index of the page that takes the next record, if it has room. */
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

  /** The log of a store. Undefined on a device that does not name a cache that outlives the process. */
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

  /** True when no record is live. */
  get isEmpty(): boolean {
    return this.#live.size === 0;
  }

  /** True when a blob has live records. */
  has(blobPage: MdPage): boolean {
    return this.#live.has(blobPage);
  }

  /** The first pages of the blobs that have live records. */
  get blobPages(): MdPage[] {
    return [...this.#live.keys()];
  }

  /** The live records of a blob, newest first. */
  recordsOf(blobPage: MdPage): NotedInsertion[] {
    return [...(this.#live.get(blobPage) ?? [])].sort((a, b) => b.order - a.order);
  }

  /** Reads the log of a process that ended without closing the store. All its records are live. */
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

  /**
   * Adds a record of an insertion in memory. Returns the page that must be written, or undefined when the log is full.
   */
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

  /**
   * Writes a page with all records that it has when the write begins. All callers during a write share the next one.
   */
  write(page: LogPage): Steps<void> {
    return this.#isSynchronous ? this.#writeOnce(page) : page.writes.run(() => this.#writeOnce(page));
  }

  /** The live records of a blob. Further insertions do not extend them. */
  seal(blobPage: MdPage): readonly NotedInsertion[] {
    this.#growing.delete(blobPage);
    return [...(this.#live.get(blobPage) ?? [])];
  }

  /**
   * Makes records no longer live, because a map on disk has their clusters, or must not have them any more. The records
   * may stay on disk until they are erased.
   */
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

  /** Erases from the disk the records of a blob that are not live. */
  erase(blobPage: MdPage): Steps<void> {
    return this.#pages.some((page) => mustErase(page, blobPage)) ? this.#eraseFound(blobPage) : ENDED;
  }

  *#eraseFound(blobPage: MdPage): Steps<void> {
    for (const page of this.#pages) if (mustErase(page, blobPage)) yield* this.write(page);
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

/** True for a page with records of a blob that are not live. The write that erases them may be under way already. */
function mustErase(page: LogPage, blobPage: MdPage): boolean {
  return page.erasable.has(blobPage) || page.writes.isRunning;
}

/** Erases the log of a store that has been recovered: the blobs on disk have all that it says. */
export function* eraseLog(channel: DeviceChannel, geometry: Geometry, block: SuperBlock): Steps<void> {
  const places = placesOf(block, geometry.mdPageCount);
  for (let first = 0, at = 1; first < places.length; at++) {
    if (at < places.length && places[at] === places[at - 1] + 1) continue;
    const lba = geometry.pageToLba(places[first]);
    yield* wait(channel.writeZeroes(lba, geometry.pageToLba(at - first)));
    first = at;
  }
}

/**
 * The pages of the device that the log uses: those of the masks of used pages and used blob ids, up to the length of
 * these masks.
 */
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

/** True when an insertion directly continues a record. */
function continues(record: NotedInsertion, index: number, cluster: number, extentPage: number): boolean {
  const { count } = record;
  return record.extentPage === extentPage && index === record.index + count && cluster === record.cluster + count;
}
