/** Sets of values, by a key. A set exists only while it has values. */
export class SetsByKey<Key, Value> {
  readonly #sets = new Map<Key, Set<Value>>();

  add(key: Key, value: Value): void {
    const set = this.#sets.get(key);
    if (set) set.add(value);
    else this.#sets.set(key, new Set([value]));
  }

  delete(key: Key, value: Value): void {
    const set = this.#sets.get(key);
    if (set?.delete(value) && set.size === 0) this.#sets.delete(key);
  }

  /** The values of a key, in an array of their own. */
  of(key: Key): Value[] {
    return [...(this.#sets.get(key) ?? [])];
  }
}
