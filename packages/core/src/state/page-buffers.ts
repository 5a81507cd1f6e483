/** Reusable buffers for reading metadata pages: allocating one costs more than parsing a page. */

import { MdPageView } from '../format/md-page.js';

/** The most free buffers that are kept. More are in use only while many blobs are opened together. */
const KEPT_MAX = 16;

/** A free list of page buffers. */
export class PageBuffers {
  readonly #free: MdPageView[] = [];

  /** Takes a buffer; its content is undefined. */
  take(): MdPageView {
    return this.#free.pop() ?? MdPageView.zeroed();
  }

  /** Returns a buffer to the free list. The caller must not use it any more. */
  give(page: MdPageView): void {
    if (this.#free.length < KEPT_MAX) this.#free.push(page);
  }
}
