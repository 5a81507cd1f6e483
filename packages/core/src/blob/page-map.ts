/**
 * A map by metadata pages. Opening and closing a blob adds an entry to some maps, and removes it again. A `Map` makes a
 * new table every few such changes; and since an old table keeps the next one alive, what these tables name outlives
 * several garbage collections. Here the table is made anew only to grow, and entries are found by open addressing.
 */

import type { MdPage } from '../units/units.js';

const FIRST_CAPACITY = 16;
const EMPTY = -1;
/** 2^32 divided by the golden ratio, as an odd number: spreads pages over the table (Knuth, TAOCP 3, 6.4). */
const SPREAD = 0x9e37_79b1;

/** A map by metadata pages. Iterates in ascending order of pages. Single-threaded. */
export class PageMap<V> {
  /** The page of each place, or `EMPTY`. The number of places is a power of two; at most half of them are taken. */
  #pages: number[] = new Array(FIRST_CAPACITY).fill(EMPTY);
  #values: (V | undefined)[] = new Array(FIRST_CAPACITY).fill(undefined);
  #shift = 32 - Math.log2(FIRST_CAPACITY);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(page: MdPage): V | undefined {
    return this.#size === 0 ? undefined : this.#values[this.#placeOf(page)];
  }

  has(page: MdPage): boolean {
    return this.#size > 0 && this.#pages[this.#placeOf(page)] === page;
  }

  /** Sets the value of a page, whether it has one or not. */
  set(page: MdPage, value: V): void {
    let at = this.#placeOf(page);
    if (this.#pages[at] === EMPTY) {
      if (this.#size * 2 >= this.#pages.length) {
        this.#grow();
        at = this.#placeOf(page);
      }
      this.#pages[at] = page;
      this.#size++;
    }
    this.#values[at] = value;
  }

  /** Removes a page. Returns false if it has no value. */
  delete(page: MdPage): boolean {
    if (this.#size === 0) return false;
    const at = this.#placeOf(page);
    if (this.#pages[at] === EMPTY) return false;
    this.#size--;
    this.#vacate(at);
    return true;
  }

  /** The pages, in ascending order. */
  keys(): MdPage[] {
    return this.#pages.filter((page) => page !== EMPTY).sort((one, other) => one - other) as MdPage[];
  }

  /** The values, in ascending order of their pages. */
  values(): V[] {
    return this.keys().map((page) => this.get(page) as V);
  }

  /** The place of a page, or the empty place where it belongs. */
  #placeOf(page: number): number {
    const pages = this.#pages;
    const mask = pages.length - 1;
    let at = Math.imul(page, SPREAD) >>> this.#shift;
    while (pages[at] !== page && pages[at] !== EMPTY) at = (at + 1) & mask;
    return at;
  }

  /**
   * Empties a place, and moves the entries that would not be found any more because of that. Algorithm: deletion with
   * linear probing (Knuth, TAOCP 3, 6.4, algorithm R).
   */
  #vacate(place: number): void {
    const pages = this.#pages;
    const mask = pages.length - 1;
    let hole = place;
    for (let at = (hole + 1) & mask; pages[at] !== EMPTY; at = (at + 1) & mask) {
      const home = Math.imul(pages[at], SPREAD) >>> this.#shift;
      if (((at - home) & mask) < ((at - hole) & mask)) continue; // its home is behind the hole
      pages[hole] = pages[at];
      this.#values[hole] = this.#values[at];
      hole = at;
    }
    pages[hole] = EMPTY;
    this.#values[hole] = undefined;
  }

  #grow(): void {
    const pages = this.#pages;
    const values = this.#values;
    const capacity = pages.length * 2;
    this.#pages = new Array(capacity).fill(EMPTY);
    this.#values = new Array(capacity).fill(undefined);
    this.#shift--;
    pages.forEach((page, at) => {
      if (page === EMPTY) return;
      const place = this.#placeOf(page);
      this.#pages[place] = page;
      this.#values[place] = values[at];
    });
  }
}
