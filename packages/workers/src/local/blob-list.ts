/**
 * The list of all blobs. Listing a store again in which nothing has changed costs next to nothing: the last list is kept
 * until the garbage collector takes it. As long as there was no metadata operation, only the blobs that transfers can
 * change are looked at again: the open ones that are not read-only.
 */

import { type Blob as EngineBlob, EXTERNAL_SNAPSHOT_ID, type MdPage, pageOfBlobId } from '@blobyard/core';
import type { BlobInfo } from '../api/blob.js';
import type { BlobsPart } from '../ports/metadata-port.js';
import { isCoded, pauseForOthers, type StoreContext } from './store-context.js';

/** The locks for listing a blob. */
const LISTING = { state: true };
/**
 * The blobs that are listed between two pauses: 1 to 2 ms of work before the code is compiled, a tenth of that later.
 */
const GLANCES = 1024;

/** Infos of all blobs. */
interface BlobList {
  readonly infos: BlobInfo[];
  /**
   * Those that are not kept: of blobs that may change without a change of the version, and those with an external
   * snapshot's id, whose bytes a caller can change.
   */
  readonly unsteady: { readonly at: number; readonly page: MdPage }[];
}

/** Lists the blobs of one store. Metadata thread. */
export class BlobLister {
  readonly #context: StoreContext;
  #last: WeakRef<BlobList> | undefined;
  /** The version that `#last` belongs to. */
  #lastVersion = -1;

  constructor(context: StoreContext) {
    this.#context = context;
  }

  /** The blobs in ascending order of their ids. Lets others run after each 1024 blobs. */
  async list(): Promise<BlobInfo[]> {
    const { turns } = this.#context;
    const version = this.#version;
    const last = version === this.#lastVersion && turns.areIdle ? this.#last?.deref() : undefined;
    if (last !== undefined && this.#refresh(last)) return last.infos.slice();
    const list = await this.#listAll();
    if (version === this.#version) {
      this.#last = new WeakRef(list);
      this.#lastVersion = version;
    }
    return list.infos.slice();
  }

  /** Grows with each change of infos, other than those of unsteady blobs. Each of the three counts only grows. */
  get #version(): number {
    const { blobstore, catalogue, turns } = this.#context;
    return catalogue.changes + turns.changes + blobstore.listChanges;
  }

  /** Replaces the infos of unsteady blobs. False if one of them cannot be listed at once. */
  #refresh({ infos, unsteady }: BlobList): boolean {
    const { blobstore, catalogue } = this.#context;
    for (const { at, page } of unsteady) {
      const listing = catalogue.at(page);
      const summary = blobstore.summaryAt(page);
      if (listing === undefined || summary === undefined) return false;
      infos[at] = this.#context.infoOf(listing.id, listing.name, summary);
    }
    return true;
  }

  async #listAll(): Promise<BlobList> {
    const list: BlobList = { infos: [], unsteady: [] };
    const pages = this.#context.catalogue.pages();
    for (let at = 0; at < pages.length; at += GLANCES) {
      if (at > 0) await pauseForOthers();
      await this.#listPart(pages, at, Math.min(at + GLANCES, pages.length), list);
    }
    return list;
  }

  /** The info of a blob; undefined if it was deleted meanwhile, or is partly deleted. */
  async one(id: bigint): Promise<BlobInfo | undefined> {
    const list: BlobList = { infos: [], unsteady: [] };
    await this.#listPart([pageOfBlobId(id)], 0, 1, list);
    return list.infos.find((info) => info.id === id);
  }

  /** The infos of up to 1024 blobs, from the one whose first page is `from` on. Lets others run before each part. */
  async part(from: number): Promise<BlobsPart> {
    await pauseForOthers();
    const list: BlobList = { infos: [], unsteady: [] };
    const pages = this.#context.catalogue.pages();
    const start = firstFrom(pages, from);
    const end = Math.min(start + GLANCES, pages.length);
    const next = end < pages.length ? pages[end] : undefined;
    await this.#listPart(pages.slice(start, end), 0, end - start, list);
    return { infos: list.infos, next };
  }

  /** Adds the infos of the blobs with the first pages from `start` to `end`. */
  async #listPart(pages: readonly MdPage[], start: number, end: number, list: BlobList): Promise<void> {
    const { catalogue, turns } = this.#context;
    for (let at = start; at < end; at++) {
      if (at > start) await pauseForOthers();
      at = this.#glanceFrom(pages, at, end, list);
      const id = at === end ? undefined : catalogue.at(pages[at])?.id;
      const info = id === undefined ? undefined : await turns.with(id, LISTING, () => this.#look(id));
      if (info !== undefined) list.infos.push(info);
    }
  }

  /**
   * Adds the infos of the blobs with the first pages from `start` to `end`, up to one on which an operation is under
   * way, or that must be read. Returns the index of that one, or `end`.
   */
  #glanceFrom(pages: readonly MdPage[], start: number, end: number, { infos, unsteady }: BlobList): number {
    const context = this.#context;
    const { blobstore, catalogue, turns } = context;
    const areIdle = turns.areIdle;
    for (let at = start; at < end; at++) {
      const page = pages[at];
      const listing = catalogue.at(page);
      if (listing === undefined) continue; // it was deleted meanwhile
      const summary = blobstore.summaryAt(page);
      if (summary === undefined || !(areIdle || turns.isFree(listing.id, LISTING))) return at;
      const isSteady = (!summary.isOpen || summary.dataRo) && summary.parentId !== EXTERNAL_SNAPSHOT_ID;
      if (!isSteady) unsteady.push({ at: infos.length, page });
      infos.push(context.infoOf(listing.id, listing.name, summary));
    }
    return end;
  }

  /** A blob's info; undefined if it was deleted meanwhile, or is partly deleted. */
  async #look(id: bigint): Promise<BlobInfo | undefined> {
    const { blobstore, catalogue } = this.#context;
    if (!catalogue.has(id)) return undefined;
    let blob: EngineBlob;
    try {
      blob = await this.#context.run(blobstore.openBlob(id));
    } catch (error) {
      if (isCoded(error, 'EBUSY')) return undefined;
      throw error;
    }
    try {
      return this.#context.infoOf(id, catalogue.nameOf(id), blob);
    } finally {
      await this.#context.run(blobstore.dropBlob(blob)); // unlike `closeBlob`, does not fail if it cannot be written
    }
  }
}

/** The index of the first page that is not below `from`. */
function firstFrom(pages: readonly MdPage[], from: number): number {
  let low = 0;
  let high = pages.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (pages[middle] < from) low = middle + 1;
    else high = middle;
  }
  return low;
}
