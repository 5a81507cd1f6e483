/** The shared mask of used metadata pages. Every call except `capacity` needs the used lock. */

import { assert, InvariantError } from '../units/error.js';
import { type MdPage, NONE_U32 } from '../units/units.js';
import { BitArray, wordsForBits } from './bit-array.js';
import { STORE } from './layout.js';
import type { UsedLock } from './used-lock.js';

/**
 * The mask of used metadata pages. Any thread, with the used lock. Double claims and double frees throw an
 * `InvariantError`.
 */
export class UsedPages {
  readonly #store: Int32Array;
  readonly #lock: UsedLock;
  readonly #bits: BitArray;

  constructor(store: Int32Array, buffer: SharedArrayBuffer, capacity: number, lock: UsedLock) {
    this.#store = store;
    this.#lock = lock;
    this.#bits = new BitArray(new Uint32Array(buffer, 0, wordsForBits(capacity)), capacity);
  }

  get capacity(): number {
    return this.#bits.capacity;
  }

  isUsed(page: number): boolean {
    return this.#guarded().get(page);
  }

  /** The lowest free page from `from` on, or `NONE_U32`. Does not claim it. */
  findFree(from: number): number {
    const bits = this.#guarded();
    const lowest = this.#store[STORE.PAGES_LOWEST] >>> 0;
    if (from > lowest) return bits.findFirstClear(from);
    const found = bits.findFirstClear(lowest);
    this.#store[STORE.PAGES_LOWEST] = found === NONE_U32 ? bits.capacity : found;
    return found;
  }

  /** The highest free page from `from` on and below `end`, or `NONE_U32`. Does not claim it. */
  findLastFree(from: number, end: number): number {
    const bits = this.#guarded();
    let page = Math.min(bits.capacity, end) - 1;
    while (page >= from && bits.get(page)) page--;
    return page >= from ? page : NONE_U32;
  }

  /** True when at least `count` pages are free from `from` on. */
  hasFree(count: number, from: number): boolean {
    let page = from - 1;
    for (let found = 0; found < count; found++) {
      page = this.findFree(page + 1);
      if (page === NONE_U32) return false;
    }
    return true;
  }

  claim(page: MdPage): void {
    const bits = this.#guarded();
    if (bits.get(page)) throw new InvariantError(`metadata page ${page} was taken twice`);
    bits.set(page);
  }

  release(page: MdPage): void {
    const bits = this.#guarded();
    if (!bits.get(page)) throw new InvariantError(`metadata page ${page} was freed twice`);
    bits.clear(page);
    if (page < this.#store[STORE.PAGES_LOWEST] >>> 0) this.#store[STORE.PAGES_LOWEST] = page;
  }

  countUsed(): number {
    return this.#guarded().countSet();
  }

  storeMask(target: Uint8Array): void {
    this.#guarded().storeMask(target);
  }

  /** Corrects the hint (`PAGES_LOWEST`) after a thread has died: it may have changed the bits, but not yet the hint. */
  rebuild(): void {
    this.#guarded();
    this.#store[STORE.PAGES_LOWEST] = 0;
  }

  /** Sets the bits that are set in `source`. */
  load(source: BitArray): void {
    this.#guarded().add(source);
    this.#store[STORE.PAGES_LOWEST] = 0;
  }

  #guarded(): BitArray {
    assert(this.#lock.isHeld, 'the used-page mask was used without the used lock');
    return this.#bits;
  }
}
