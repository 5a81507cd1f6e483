/**
 * A set and a map that are mostly empty, and make their table when they first get an element. Each blob that is opened
 * has some of them: making the tables would cost more than reading the blob.
 */

/** A set in the order of insertion. Single-threaded. */
export class SmallSet<T> {
  #elements: Set<T> | undefined;

  get size(): number {
    return this.#elements === undefined ? 0 : this.#elements.size;
  }

  has(element: T): boolean {
    return this.#elements?.has(element) ?? false;
  }

  add(element: T): void {
    this.#elements ??= new Set();
    this.#elements.add(element);
  }

  delete(element: T): void {
    this.#elements?.delete(element);
  }

  clear(): void {
    this.#elements = undefined;
  }

  /** The elements, in the order in which they were added. */
  get elements(): readonly T[] {
    return this.#elements === undefined ? NO_ELEMENTS : [...this.#elements];
  }
}

const NO_ELEMENTS: readonly never[] = [];

/** A map. Single-threaded. */
export class SmallMap<K, V> {
  #entries: Map<K, V> | undefined;

  get size(): number {
    return this.#entries === undefined ? 0 : this.#entries.size;
  }

  get(key: K): V | undefined {
    return this.#entries?.get(key);
  }

  has(key: K): boolean {
    return this.#entries?.has(key) ?? false;
  }

  set(key: K, value: V): void {
    this.#entries ??= new Map();
    this.#entries.set(key, value);
  }

  delete(key: K): void {
    this.#entries?.delete(key);
  }
}
