/**
 * Allocates runs of pages in a shared memory, for any thread, without a lock. A thread that dies in the middle can leak
 * a few pages, but leaves nothing that blocks other threads.
 *
 * There is one shared word for each page: 0 when free, n > 0 in the first page of a run of n pages, -1 in the others of
 * a run. A thread looks for free words, then takes them one by one with compare-and-exchange. If another thread takes
 * one of them first, it gives back those that it took, and looks further.
 */

import { BlobstoreError } from '@blobyard/core';

const FREE = 0;
const TAKEN = -1;

/** The result of `allocate` when no free run is long enough. */
export const NO_PAGES = -1;

/** Allocates runs of pages; any number of threads can share the words of one arena. */
export class MemoryArena {
  readonly #words: Int32Array;

  /** @param words - a shared word for each page, all 0 in a new arena */
  constructor(words: Int32Array) {
    this.#words = words;
  }

  /** Pages in the arena. */
  get pageCount(): number {
    return this.#words.length;
  }

  /** Pages that are free now. Any thread; other threads may change it at any time. */
  get freePageCount(): number {
    let free = 0;
    for (let page = 0; page < this.#words.length; page++) if (Atomics.load(this.#words, page) === FREE) free++;
    return free;
  }

  /** Takes the first run of `pageCount` free pages. Returns its first page, or `NO_PAGES`. Any thread. */
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
   * Frees the run that begins at `first`. Calls `clear(pageCount)` before, while no thread owns the pages. Any thread.
   * Throws EINVAL if no run begins there, as after a second release.
   */
  release(first: number, clear: (pageCount: number) => void): void {
    const pageCount = this.runLength(first);
    // If two threads release the same run, only one gets past this line.
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
  return new BlobstoreError(
    'EINVAL',
    'no allocated buffer begins where this one does: release a buffer once, and as allocateBuffer returned it',
  );
}
