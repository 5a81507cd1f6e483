/** Reusable buffers for metadata pages: allocating one costs far more than parsing or writing a page. */

import { MdPageView } from '../format/md-page.js';

/** The most free buffers that are kept. More are in use only while many blobs are opened or written together. */
const KEPT_MAX = 64;

/** A free list of page buffers. */
export class PageBuffers {
  readonly #free: MdPageView[] = [];

  /** Takes a buffer; its content is undefined. */
  take(): MdPageView {
    return this.#free.pop() ?? MdPageView.zeroed();
  }

  /** Takes a buffer of zeroes. */
  takeZeroed(): MdPageView {
    const page = this.#free.pop();
    if (page === undefined) return MdPageView.zeroed();
    page.bytes.fill(0);
    return page;
  }

  /**
   * Returns a buffer to the free list. The caller must not use it any more, and no request that reads or writes it may
   * be under way at the device.
   */
  give(page: MdPageView): void {
    if (this.#free.length < KEPT_MAX) this.#free.push(page);
  }
}
