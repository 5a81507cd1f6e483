/**
 * Which blobs exist, and their names. A name is reserved before it is written, so that of two concurrent operations
 * that want the same name one is refused. A name is released only when it can no longer be on the disk. In a store that
 * other software wrote, two blobs may have the same name; then the name finds the one with the lowest id.
 */

import { BlobstoreError, type MdPage, pageOfBlobId } from '@blobyard/core';

/** The entry of an existing blob. Renaming the blob replaces it. */
export interface Listing {
  readonly id: bigint;
  readonly name: string | undefined;
}

/** The blobs of one store. Metadata thread. */
export class Catalogue {
  readonly #listings = new Map<MdPage, Listing>();
  readonly #holders = new Map<string, bigint[]>();
  readonly #promised = new Set<string>();
  #changes = 0;
  /** The first pages of all blobs, in ascending order; undefined when they have to be put in order again. */
  #pages: MdPage[] | undefined = [];
  readonly #isApart: (id: bigint) => boolean;

  /** @param isApart - true for a blob whose name is in a namespace of its own: `find` never returns that blob */
  constructor(isApart: (id: bigint) => boolean = () => false) {
    this.#isApart = isApart;
  }

  /** Grows with each change of a blob's entry. */
  get changes(): number {
    return this.#changes;
  }

  get size(): number {
    return this.#listings.size;
  }

  /**
   * The first pages of all blobs, in ascending order, which is that of their ids. Blobs that are added later may appear
   * at the end of the list, and those that are removed may stay in it.
   */
  pages(): readonly MdPage[] {
    this.#pages ??= Array.from(Uint32Array.from(this.#listings.keys()).sort()) as MdPage[];
    return this.#pages;
  }

  /** The entry of the blob that begins at a page. */
  at(page: MdPage): Listing | undefined {
    return this.#listings.get(page);
  }

  has(id: bigint): boolean {
    return this.listingOf(id) !== undefined;
  }

  /** The entry of a blob: the same object until the blob is renamed or deleted. */
  listingOf(id: bigint): Listing | undefined {
    const listing = this.#listings.get(pageOfBlobId(id));
    return listing?.id === id ? listing : undefined;
  }

  nameOf(id: bigint): string | undefined {
    return this.listingOf(id)?.name;
  }

  find(name: string): bigint | undefined {
    return this.#holders.get(name)?.find((id) => !this.#isApart(id));
  }

  /** Adds a blob; replaces an entry with the same id. */
  add(id: bigint, name: string | undefined): void {
    this.#changes++;
    const page = pageOfBlobId(id);
    const before = this.#listings.get(page);
    this.#listings.set(page, { id, name });
    if (before === undefined) this.#addPage(page);
    else this.#forgetName(before);
    if (name === undefined) return;
    const holders = this.#holders.get(name) ?? [];
    holders.push(id);
    this.#holders.set(
      name,
      holders.sort((one, other) => (one < other ? -1 : 1)),
    );
  }

  remove(id: bigint): void {
    const listing = this.listingOf(id);
    if (listing === undefined) return;
    this.#changes++;
    const page = pageOfBlobId(id);
    this.#listings.delete(page);
    if (this.#pages?.at(-1) === page) this.#pages.pop();
    else this.#pages = undefined;
    this.#forgetName(listing);
  }

  /** New blobs mostly have the highest page, so that nothing needs to be put in order. */
  #addPage(page: MdPage): void {
    const pages = this.#pages;
    if (pages === undefined) return;
    if (pages.length === 0 || page > pages[pages.length - 1]) pages.push(page);
    else this.#pages = undefined;
  }

  #forgetName({ id, name }: Listing): void {
    if (name === undefined) return;
    const others = (this.#holders.get(name) ?? []).filter((holder) => holder !== id);
    if (others.length > 0) this.#holders.set(name, others);
    else this.#holders.delete(name);
  }

  /**
   * Runs an action that gives a blob a name; the name is reserved meanwhile.
   * @param holder - the blob that is renamed, which may have the name already; undefined for a new one
   * @throws EEXIST another blob has the name, or another action has reserved it.
   */
  async promising<T>(name: string | undefined, holder: bigint | undefined, action: () => Promise<T>): Promise<T> {
    if (name === undefined) return action();
    if (holder !== undefined && (this.nameOf(holder) === name || this.#isApart(holder))) return action();
    const has = this.find(name);
    if (has !== undefined || this.#promised.has(name)) {
      const who = has === undefined ? 'a blob that is being created or renamed' : `blob ${has}`;
      throw new BlobstoreError(
        'EEXIST',
        `the name '${name}' is taken by ${who}: choose another name, or rename that blob first`,
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
