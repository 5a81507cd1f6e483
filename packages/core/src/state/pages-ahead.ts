/**
 * Metadata pages that are read ahead while all blobs of a store are visited in the order of their first pages: a run of
 * pages by one request. A run ends where few pages are in use, so what is read follows the pages in use. Nothing is
 * kept once a metadata page may have been written.
 */

import type { DeviceChannel } from '../device/block-device.js';
import { type Steps, wait } from '../steps/steps.js';
import type { Geometry } from '../units/geometry.js';
import { type MdPage, PAGE_BYTES } from '../units/units.js';

/** The most pages of a run. */
const RUN_MAX = 256;
/** At least a quarter of the pages of a run are in use: one page of four. */
const PAGES_PER_USED_MAX = 4;

/** Metadata thread. */
export class PagesAhead {
  readonly #channel: DeviceChannel;
  readonly #geometry: Geometry;
  /** The buffer of a run, made for the first one. */
  #bytes: Uint8Array | undefined;
  readonly #pages: Uint8Array[] = [];
  #start = 0;
  #end = 0;

  constructor(channel: DeviceChannel, geometry: Geometry) {
    this.#channel = channel;
    this.#geometry = geometry;
  }

  /**
   * Reads the run that begins with a page, unless the page was read ahead already, or the run would be this page alone.
   * Does not throw.
   * @param isUsed - whether a page is in use
   */
  *cover(page: MdPage, isUsed: (page: number) => boolean): Steps<void> {
    if (page >= this.#start && page < this.#end) return;
    const count = this.#runFrom(page, isUsed);
    this.forget();
    if (count === 1) return;
    const { blocksPerPage } = this.#geometry;
    this.#bytes ??= new Uint8Array(RUN_MAX * PAGE_BYTES);
    try {
      yield* wait(this.#channel.read(this.#bytes, 0, this.#geometry.mdPageToLba(page), count * blocksPerPage));
    } catch {
      return; // some page of the run cannot be read: each is read by itself when it is needed
    }
    this.#start = page;
    this.#end = page + count;
  }

  /** Copies a page. Returns false when it was not read ahead. */
  copyTo(target: Uint8Array, page: MdPage): boolean {
    if (this.#bytes === undefined || page < this.#start || page >= this.#end) return false;
    const at = page - this.#start;
    this.#pages[at] ??= this.#bytes.subarray(at * PAGE_BYTES, (at + 1) * PAGE_BYTES);
    target.set(this.#pages[at]);
    return true;
  }

  forget(): void {
    this.#start = 0;
    this.#end = 0;
  }

  /** The length of the longest run that begins with `page`, has enough pages in use, and ends with one in use. */
  #runFrom(page: MdPage, isUsed: (page: number) => boolean): number {
    const most = Math.min(RUN_MAX, this.#geometry.mdPageCount - page);
    let used = 1;
    let length = 1;
    for (let at = 1; at < most; at++) {
      if (!isUsed(page + at)) continue;
      used++;
      if (used * PAGES_PER_USED_MAX > at) length = at + 1;
    }
    return length;
  }
}
