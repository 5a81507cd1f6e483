/**
 * Which blobs there are, and which names they have. A name is promised before it is written, so that of two who want it at
 * once one is refused; and given free only when no disk can have it any more. A store made elsewhere may hold a name twice:
 * the lowest id answers to it.
 */

import { types } from 'node:util';
import { BlobstoreError, type Blob as EngineBlob } from '@blobyard/core';
import { checkBytes, checkText, invalid } from '../checks.js';

/** The xattr that holds a blob's name. */
export const NAME_XATTR = 'name';

/** That a blob is there, from its creation to its deletion. */
export interface Listing {
  readonly name: string | undefined;
}

export class Catalogue {
  readonly #listings = new Map<bigint, Listing>();
  readonly #holders = new Map<string, bigint[]>();
  readonly #promised = new Set<string>();

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
    return this.#holders.get(name)?.[0];
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
    if (name === undefined || (holder !== undefined && this.nameOf(holder) === name)) return action();
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

/** The name of a blob that the engine has open; undefined when it has none that can be said. */
export function nameOf(blob: EngineBlob): string | undefined {
  const value = blob.xattrs.get(NAME_XATTR);
  return value === undefined ? undefined : nameFromBytes(value);
}

/** The name in an xattr's value; undefined when it is empty or no UTF-8. */
function nameFromBytes(value: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value) || undefined;
  } catch {
    return undefined;
  }
}

/** The name that a user gives, as text or as the value of its xattr. EINVAL when it cannot be one. */
export function checkName(value: unknown): string {
  if (!types.isUint8Array(value)) return checkText('the name of a blob', value);
  const name = nameFromBytes(checkBytes('the name of a blob', value));
  if (name === undefined) throw invalid('the name of a blob', value, 'text, or its UTF-8 bytes');
  return checkText('the name of a blob', name);
}
