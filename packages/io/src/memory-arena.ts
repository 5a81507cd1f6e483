/**
 * Hands out runs of pages of a shared memory, to any thread, without a lock: a thread that dies half way through can
 * leave a few pages taken, but nothing that others would wait for.
 *
 * One shared word for each page: 0 free, n > 0 the first page of a run of n, -1 taken otherwise. A thread looks for
 * free words, then takes them one by one with compare-and-exchange; if another was faster it gives back what it took
 * and looks on.
 */

import { BlobstoreError } from '@blobyard/core';

const FREE = 0;
const TAKEN = -1;

/** What `allocate` answers when no run is long enough. */
export const NO_PAGES = -1;

export class MemoryArena {
  readonly #words: Int32Array;

  /** @param words - a shared word for each page, all 0 at first. */
  constructor(words: Int32Array) {
    this.#words = words;
  }

  /** Pages in the arena. */
  get pageCount(): number {
    return this.#words.length;
  }

  /** Pages not handed out now. Any thread: the count may be old by the time it is looked at. */
  get freePageCount(): number {
    let free = 0;
    for (let page = 0; page < this.#words.length; page++) if (Atomics.load(this.#words, page) === FREE) free++;
    return free;
  }

  /** Takes the first run of `pageCount` free pages. Answers its first page, or `NO_PAGES`. Any thread. */
  allocate(pageCount: number): number {
    let first = 0;
    let length = 0;
    while (first + pageCount <= this.#words.length) {
      const word = Atomics.load(this.#words, first + length);
      if (word !== FREE) {
        first += length + Math.max(word, 1);
        length = 0;
        continue;
      }
      length++;
      if (length < pageCount) continue;
      if (this.#take(first, pageCount)) return first;
      length = 0;
    }
    return NO_PAGES;
  }

  /**
   * Gives back the run that begins at `first`, after `clear(pageCount)` while it is nobody's. Any thread. Throws EINVAL
   * if no run begins there, as after a second release.
   */
  release(first: number, clear: (pageCount: number) => void): void {
    const pageCount = this.runLength(first);
    // Of two releases of one run only one gets past here.
    if (Atomics.compareExchange(this.#words, first, pageCount, TAKEN) !== pageCount) throw notARun();
    clear(pageCount);
    for (let page = first; page < first + pageCount; page++) Atomics.store(this.#words, page, FREE);
  }

  /** Pages in the run that begins at `first`. Throws EINVAL if none does. */
  runLength(first: number): number {
    const isPage = Number.isInteger(first) && first >= 0 && first < this.#words.length;
    const word = isPage ? Atomics.load(this.#words, first) : FREE;
    if (word > 0) return word;
    throw notARun();
  }

  #take(first: number, pageCount: number): boolean {
    for (let page = first; page < first + pageCount; page++) {
      if (Atomics.compareExchange(this.#words, page, FREE, TAKEN) === FREE) continue;
      for (let taken = first; taken < page; taken++) Atomics.store(this.#words, taken, FREE);
      return false;
    }
    Atomics.store(this.#words, first, pageCount);
    return true;
  }
}

function notARun(): BlobstoreError {
  return new BlobstoreError('EINVAL', 'no buffer of this arena begins there; was it released before?');
}
