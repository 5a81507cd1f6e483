/**
 * The client's pool of shared memory. Callers' bytes that are not in shared memory are copied through it. Only the
 * client allocates from it, so the list of free pieces is not shared; a worker only sees bytes at an offset.
 *
 * A buddy allocator over pages: the length of a piece is a power of two of pages, and its offset a multiple of its
 * length. Pages, because direct I/O requires alignment; powers of two, because then neighbours are merged in a few
 * steps.
 */

import { assert, BlobstoreError } from '@blobyard/core';
import { pageAligned } from './ring-layout.js';
import { NO_PIECE } from './ring-request.js';

const PAGE_BYTES = 4096;
const PAGE_BITS = 12;
/** The pool holds at least this many pieces of the largest size, so that several large requests can be under way. */
const PIECES_MIN = 4;
const POOL_BYTES_MIN = PIECES_MIN * PAGE_BYTES;
const POOL_BYTES_MAX = 2 ** 31;
const NO_PAGE = -1;
/** The state of a page that is not the first one of a piece. */
const INSIDE = 0;

export const DEFAULT_POOL_BYTES = 16 * 1024 * 1024;

/** Only the client's thread uses it. */
export class BufferPool {
  readonly memory: SharedArrayBuffer;
  /** The whole pool. */
  readonly bytes: Uint8Array;
  /** Bytes of the largest piece. */
  readonly pieceBytesMax: number;
  readonly #pageCount: number;
  /**
   * For the first page of a piece: 1 + its order (the binary logarithm of its pages) when the piece is free, and -1 -
   * its order when it is allocated. `INSIDE` for all other pages.
   */
  readonly #states: Int8Array;
  /** Linked lists of the free pieces of each order. */
  readonly #first: Int32Array;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #orderMax: number;
  /** A bit for each order that has a free piece. */
  #orders = 0;
  #freePages: number;

  /** EINVAL unless `poolBytes` is a multiple of a page (4096 bytes), from 4 pages to 2 GiB. */
  constructor(poolBytes = DEFAULT_POOL_BYTES) {
    if (!(poolBytes >= POOL_BYTES_MIN && poolBytes <= POOL_BYTES_MAX && poolBytes % PAGE_BYTES === 0)) {
      const wanted = `a multiple of ${PAGE_BYTES} from ${POOL_BYTES_MIN} to ${POOL_BYTES_MAX}`;
      throw new BlobstoreError('EINVAL', `a buffer pool of ${poolBytes} bytes: it must be ${wanted}`);
    }
    this.#pageCount = poolBytes / PAGE_BYTES;
    this.#freePages = this.#pageCount;
    this.#orderMax = orderOf(this.#pageCount + 1) - 1 - Math.log2(PIECES_MIN);
    this.pieceBytesMax = PAGE_BYTES << this.#orderMax;
    this.memory = pageAligned(poolBytes);
    this.bytes = new Uint8Array(this.memory, 0, poolBytes);
    this.#states = new Int8Array(this.#pageCount);
    this.#first = new Int32Array(this.#orderMax + 1).fill(NO_PAGE);
    this.#next = new Int32Array(this.#pageCount);
    this.#previous = new Int32Array(this.#pageCount);
    this.#divide();
  }

  get freeBytes(): number {
    return this.#freePages * PAGE_BYTES;
  }

  /**
   * Allocates a piece of at least `bytes`, from 1 to `pieceBytesMax`. Returns its offset in bytes, or `NO_PIECE` if
   * none is free.
   */
  allocate(bytes: number): number {
    assert(bytes > 0 && bytes <= this.pieceBytesMax, 'a piece of the buffer pool has an impossible length');
    const order = orderOf((bytes + PAGE_BYTES - 1) >>> PAGE_BITS);
    const fitting = this.#orders >>> order;
    if (fitting === 0) return NO_PIECE;
    let found = order + 31 - Math.clz32(fitting & -fitting);
    const page = this.#first[found];
    this.#take(page, found);
    // Frees the part that is not needed, half by half.
    while (found > order) {
      found--;
      this.#put(page + (1 << found), found);
    }
    this.#states[page] = -1 - order;
    this.#freePages -= 1 << order;
    return page << PAGE_BITS;
  }

  /** Frees a piece that `allocate` returned. */
  release(piece: number): void {
    let page = piece >>> PAGE_BITS;
    let order = -1 - this.#states[page];
    assert(order >= 0, 'a piece of the buffer pool was released that is not allocated');
    this.#freePages += 1 << order;
    this.#states[page] = INSIDE;
    while (order < this.#orderMax) {
      const buddy = page ^ (1 << order);
      if (buddy >= this.#pageCount || this.#states[buddy] !== order + 1) break;
      this.#take(buddy, order);
      if (buddy < page) page = buddy;
      order++;
    }
    this.#put(page, order);
  }

  /** Divides all pages into free pieces, each as large as its offset allows. */
  #divide(): void {
    let page = 0;
    while (page < this.#pageCount) {
      let order = this.#orderMax;
      while (page + (1 << order) > this.#pageCount) order--;
      this.#put(page, order);
      page += 1 << order;
    }
  }

  #put(page: number, order: number): void {
    const next = this.#first[order];
    this.#states[page] = order + 1;
    this.#next[page] = next;
    this.#previous[page] = NO_PAGE;
    if (next !== NO_PAGE) this.#previous[next] = page;
    this.#first[order] = page;
    this.#orders |= 1 << order;
  }

  #take(page: number, order: number): void {
    const next = this.#next[page];
    const previous = this.#previous[page];
    if (next !== NO_PAGE) this.#previous[next] = previous;
    if (previous !== NO_PAGE) this.#next[previous] = next;
    else {
      this.#first[order] = next;
      if (next === NO_PAGE) this.#orders &= ~(1 << order);
    }
    this.#states[page] = INSIDE;
  }
}

/** The smallest order whose pieces hold this many pages. */
function orderOf(pages: number): number {
  return pages <= 1 ? 0 : 32 - Math.clz32(pages - 1);
}
