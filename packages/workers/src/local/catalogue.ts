/**
 * Which blobs there are, and which names they have. A name is promised before it is written, so that of two who want it at
 * once one is refused; and given free only when no disk can have it any more. A store made elsewhere may hold a name twice:
 * the lowest id answers to it.
 */

import { BlobstoreError } from '@blobyard/core';

/** That a blob is there, from its creation to its deletion. */
export interface Listing {
  readonly name: string | undefined;
}

export class Catalogue {
  readonly #listings = new Map<bigint, Listing>();
  readonly #holders = new Map<string, bigint[]>();
  readonly #promised = new Set<string>();
  readonly #isApart: (id: bigint) => boolean;

  /** @param isApart - true for a blob whose name is none of the other blobs': nobody finds it by that */
  constructor(isApart: (id: bigint) => boolean = () => false) {
    this.#isApart = isApart;
  }

  get size(): number {
    return this.#listings.size;
  }

  /** Ids in order. */
  ids(): bigint[] {
    return [...this.#listings.keys()].sort((one, other) => (one < other ? -1 : 1));
  }

  has(id: bigint): boolean {
    return this.#listings.has(id);
  }

  /** The same object as long as the blob is listed without a change. */
  listingOf(id: bigint): Listing | undefined {
    return this.#listings.get(id);
  }

  nameOf(id: bigint): string | undefined {
    return this.#listings.get(id)?.name;
  }

  find(name: string): bigint | undefined {
    return this.#holders.get(name)?.find((id) => !this.#isApart(id));
  }

  /** Lists a blob, in the place of another one that had the id before. */
  add(id: bigint, name: string | undefined): void {
    this.remove(id);
    this.#listings.set(id, { name });
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
    if (name === undefined) return;
    const others = (this.#holders.get(name) ?? []).filter((holder) => holder !== id);
    if (others.length > 0) this.#holders.set(name, others);
    else this.#holders.delete(name);
  }

  /**
   * Runs what gives a blob a name while nobody else can take it.
   * @param holder - the blob that may have it already
   * @throws EEXIST when another blob has it, or is about to.
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
