/** Buffers for reading metadata pages, used again: making a new one for each page costs more than parsing it. */

import { MdPageView } from '../format/md-page.js';

/** Buffers that are kept; more are in use only while many blobs are being opened at once. */
const KEPT_MAX = 16;

export class PageBuffers {
  readonly #free: MdPageView[] = [];

  /** A page, whatever it holds. */
  take(): MdPageView {
    return this.#free.pop() ?? MdPageView.zeroed();
  }

  /** Takes a page back that nobody looks at any more. */
  give(page: MdPageView): void {
    if (this.#free.length < KEPT_MAX) this.#free.push(page);
  }
}
