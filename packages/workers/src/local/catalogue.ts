/**
 * Which blobs exist, and their names. A name is reserved before it is written, so that of two concurrent operations
 * that want the same name one is refused. A name is released only when it can no longer be on the disk. In a store that
 * other software wrote, two blobs may have the same name; then it means the one with the lowest id.
 */

import { BlobstoreError } from '@blobyard/core';

/** The entry of an existing blob. Renaming the blob replaces it. */
export interface Listing {
  readonly name: string | undefined;
}

/** The blobs of one store. Metadata thread. */
export class Catalogue {
  readonly #listings = new Map<bigint, Listing>();
  readonly #holders = new Map<string, bigint[]>();
  readonly #promised = new Set<string>();
  /** What `ids` has returned, until a blob is added or removed. */
  #ids: readonly bigint[] | undefined;
  readonly #isApart: (id: bigint) => boolean;

  /** @param isApart - true for a blob whose name is in a namespace of its own: `find` never returns that blob */
  constructor(isApart: (id: bigint) => boolean = () => false) {
    this.#isApart = isApart;
  }

  get size(): number {
    return this.#listings.size;
  }

  /** All ids, in ascending order. Later changes do not show in the list. */
  ids(): readonly bigint[] {
    this.#ids ??= [...this.#listings.keys()].sort((one, other) => (one < other ? -1 : 1));
    return this.#ids;
  }

  has(id: bigint): boolean {
    return this.#listings.has(id);
  }

  /** The entry of a blob: the same object until the blob is renamed or deleted. */
  listingOf(id: bigint): Listing | undefined {
    return this.#listings.get(id);
  }

  nameOf(id: bigint): string | undefined {
    return this.#listings.get(id)?.name;
  }

  find(name: string): bigint | undefined {
    return this.#holders.get(name)?.find((id) => !this.#isApart(id));
  }

  /** Adds a blob; replaces an entry with the same id. */
  add(id: bigint, name: string | undefined): void {
    if (this.#listings.has(id)) this.remove(id);
    this.#listings.set(id, { name });
    this.#ids = undefined;
    if (name === undefined) return;
    const holders = this.#holders.get(name) ?? [];
    holders.push(id);
    this.#holders.set(
      name,
      holders.sort((one, other) => (one < other ? -1 : 1)),
    );
  }

  remove(id: bigint): void {
    const name = this.nameOf(id);
    this.#listings.delete(id);
    this.#ids = undefined;
    if (name === undefined) return;
    const others = (this.#holders.get(name) ?? []).filter((holder) => holder !== id);
    if (others.length > 0) this.#holders.set(name, others);
    else this.#holders.delete(name);
  }

  /**
   * Runs an action that gives a blob a name; the name is reserved meanwhile.
   * @param holder - the blob that is renamed, which may have the name already; undefined for a new one
   * @throws EEXIST when another blob has the name, or another action has reserved it.
   */
  async promising<T>(name: string | undefined, holder: bigint | undefined, action: () => Promise<T>): Promise<T> {
    if (name === undefined) return action();
    if (holder !== undefined && (this.nameOf(holder) === name || this.#isApart(holder))) return action();
    const has = this.find(name);
    if (has !== undefined || this.#promised.has(name)) {
      const who = has === undefined ? 'one that is being made or renamed' : `blob ${has}`;
      throw new BlobstoreError(
        'EEXIST',
        `the name '${name}' is taken by ${who}: choose another, or rename that one first`,
      );
    }
    this.#promised.add(name);
    try {
      return await action();
    } finally {
      this.#promised.delete(name);
    }
  }
}
