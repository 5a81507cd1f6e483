/** Reads the metadata region; in large batches where it is read in order. */

import type { DeviceChannel } from '../device/block-device.js';
import { MdPageView } from '../format/md-page.js';
import { type Steps, wait } from '../steps/steps.js';
import type { Geometry } from '../units/geometry.js';
import { type MdPage, PAGE_BYTES } from '../units/units.js';

/** Pages of a batch. */
export const BATCH_PAGES = 256;

/** Reads metadata pages, and keeps the last batch. */
export class RegionReader {
  readonly #channel: DeviceChannel;
  readonly #geometry: Geometry;
  #batch: Uint8Array = new Uint8Array(0);
  #batchStart = 0;

  constructor(channel: DeviceChannel, geometry: Geometry) {
    this.#channel = channel;
    this.#geometry = geometry;
  }

  /**
   * Returns a page. If it is not in the batch, reads it and the pages after it as the next batch. Valid until the next
   * call of this method.
   */
  *inOrder(page: MdPage): Steps<MdPageView> {
    if (!this.#hasRead(page)) {
      const count = Math.min(BATCH_PAGES, this.#geometry.mdPageCount - page);
      this.#batch = yield* this.#read(page, count);
      this.#batchStart = page;
    }
    return this.#fromBatch(page);
  }

  /** Returns a page, from the batch or by a read of just this page. */
  *anywhere(page: MdPage): Steps<MdPageView> {
    if (this.#hasRead(page)) return this.#fromBatch(page);
    return new MdPageView(yield* this.#read(page, 1));
  }

  /** Copies a page from the batch. Returns false when the batch does not have it. */
  copyTo(target: Uint8Array, page: MdPage): boolean {
    if (!this.#hasRead(page)) return false;
    target.set(this.#fromBatch(page).bytes);
    return true;
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
