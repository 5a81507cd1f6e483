/**
 * Reads the metadata region, in order and in large batches, up to the end of the pages in use. On an asynchronous
 * device several batches are read at once.
 */

import type { DeviceChannel } from '../device/block-device.js';
import { MdPageView } from '../format/md-page.js';
import { type MaybePromise, type Steps, wait } from '../steps/steps.js';
import type { Geometry } from '../units/geometry.js';
import { type MdPage, PAGE_BYTES } from '../units/units.js';

/** Pages of a batch. */
const BATCH_PAGES = 256;
const PAGE_WORDS = PAGE_BYTES / 4;
/** The most batches that are being read at once. */
const AHEAD_MAX = 4;

/** The memory of a batch. It is used again for a later batch, and so are the views of its pages. */
class BatchBuffer {
  readonly bytes = new Uint8Array(BATCH_PAGES * PAGE_BYTES);
  readonly words = new Int32Array(this.bytes.buffer);
  readonly #pages: MdPageView[] = [];

  pageAt(index: number): MdPageView {
    this.#pages[index] ??= new MdPageView(this.bytes, index * PAGE_BYTES);
    return this.#pages[index];
  }
}

/** Pages that are read by one request. */
interface PageBatch {
  readonly start: number;
  readonly end: number;
  readonly buffer: BatchBuffer;
  /** A promise while the device has not answered. */
  readonly answer: MaybePromise<void>;
}

/** Reads metadata pages, and keeps the last batch. */
export class RegionReader {
  readonly geometry: Geometry;
  readonly #channel: DeviceChannel;
  #end: number;
  #batch: PageBatch | undefined;
  /** The batches after `#batch` that are being read, in order. */
  readonly #ahead: PageBatch[] = [];
  readonly #freeBuffers: BatchBuffer[] = [];
  #contentEnd = 0;

  /** @param end - no page from this one on is in use; undefined when that is not known */
  constructor(channel: DeviceChannel, geometry: Geometry, end?: number) {
    this.#channel = channel;
    this.geometry = geometry;
    this.#end = end ?? geometry.mdPageCount;
  }

  /**
   * The end of the pages that may be in use. It becomes the end of the region when a page past it is asked for: then
   * something is there after all.
   */
  get end(): number {
    return this.#end;
  }

  /** The end of the pages that were read in order and are not zeroes. */
  get contentEnd(): number {
    return this.#contentEnd;
  }

  /** Says that a page is named somewhere, and so may be in use. */
  expect(page: MdPage): void {
    if (page >= this.#end) this.distrustEnd();
  }

  /** Does not trust the end any more: all pages of the region are read from now on. */
  distrustEnd(): void {
    this.#end = this.geometry.mdPageCount;
  }

  /**
   * Returns the number of the next page from `from` on that is not zeroes, or `end` when there is none. Keeps the batch
   * that has this page. `from` must not be lower than in the call before.
   */
  *nextUsed(from: number): Steps<number> {
    for (let at = from; at < this.#end; ) {
      const batch = yield* this.#batchWith(at);
      const { start, end } = batch;
      const { words } = batch.buffer;
      const wordEnd = (end - start) * PAGE_WORDS;
      let word = (at - start) * PAGE_WORDS;
      while (word < wordEnd && words[word] === 0) word++;
      at = start + Math.floor(word / PAGE_WORDS);
      if (word === wordEnd) continue;
      this.#contentEnd = Math.max(this.#contentEnd, at + 1);
      return at;
    }
    return this.#end;
  }

  /** Returns a page, from the batch or by a read of just this page. Valid until the next call of `nextUsed`. */
  *anywhere(page: MdPage): Steps<MdPageView> {
    const known = this.#fromBatch(page);
    if (known) return known;
    const bytes = new Uint8Array(PAGE_BYTES);
    const { geometry } = this;
    yield* wait(this.#channel.read(bytes, 0, geometry.mdPageToLba(page), geometry.blocksPerPage));
    return new MdPageView(bytes);
  }

  /** Copies a page from the batch. Returns false when the batch does not have it. */
  copyTo(target: Uint8Array, page: MdPage): boolean {
    const known = this.#fromBatch(page);
    if (known) target.set(known.bytes);
    return known !== undefined;
  }

  /** Waits until no read is under way. The channel must not be closed before. */
  *settle(): Steps<void> {
    const pending = this.#ahead.splice(0).map(({ answer }) => answer);
    if (pending.some((answer) => answer instanceof Promise)) yield Promise.allSettled(pending);
  }

  #fromBatch(page: MdPage): MdPageView | undefined {
    this.expect(page);
    const batch = this.#batch;
    if (batch === undefined || page < batch.start || page >= batch.end) return undefined;
    return batch.buffer.pageAt(page - batch.start);
  }

  *#batchWith(page: number): Steps<PageBatch> {
    let batch = this.#batch;
    while (batch === undefined || page >= batch.end) {
      this.#batch = undefined;
      if (batch !== undefined) this.#freeBuffers.push(batch.buffer);
      this.#readAhead(batch?.end ?? page);
      batch = this.#ahead.shift() as PageBatch;
      yield* wait(batch.answer);
      this.#batch = batch;
      yield undefined;
    }
    return batch;
  }

  /** Starts reads until enough of them are under way. On a synchronous device each ends at once: one is enough then. */
  #readAhead(from: number): void {
    const ahead = this.#ahead;
    let start = ahead.at(-1)?.end ?? from;
    while (start < this.#end && ahead.length < AHEAD_MAX) {
      const batch = this.#begin(start);
      ahead.push(batch);
      start = batch.end;
      if (!(batch.answer instanceof Promise)) return;
      batch.answer.catch(() => undefined); // the error is thrown when the batch is needed
    }
  }

  #begin(start: number): PageBatch {
    const { geometry } = this;
    const count = Math.min(BATCH_PAGES, this.#end - start);
    const buffer = this.#freeBuffers.pop() ?? new BatchBuffer();
    const lba = geometry.mdPageToLba(start as MdPage);
    const answer = this.#channel.read(buffer.bytes, 0, lba, count * geometry.blocksPerPage);
    return { start, end: start + count, buffer, answer };
  }
}
