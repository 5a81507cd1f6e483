/** A blob's xattrs in the order in which they were first set. Names are strings with one character for each byte. */

import type { Xattr } from '../format/xattr.js';
import { BlobstoreError } from '../units/error.js';

/** A list of xattrs. Metadata thread. */
export class XattrList {
  readonly #entries: Xattr[] = [];

  get entries(): readonly Xattr[] {
    return this.#entries;
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  /** The value of an xattr; undefined when there is none of that name. */
  get(name: string): Uint8Array | undefined {
    return this.#find(name)?.value;
  }

  /** Adds an xattr at the end, or replaces its value in place. */
  set(name: string, value: Uint8Array): void {
    const found = this.#find(name);
    if (found) found.value = value;
    else this.#entries.push({ name, value });
  }

  /** Adds at the end without a check for duplicates. For reading from disk. */
  append(xattr: Xattr): void {
    this.#entries.push(xattr);
  }

  /** Removes an xattr. Returns false when there is none of that name. */
  remove(name: string): boolean {
    const index = this.#entries.findIndex((entry) => entry.name === name);
    if (index < 0) return false;
    this.#entries.splice(index, 1);
    return true;
  }

  #find(name: string): Xattr | undefined {
    return this.#entries.find((entry) => entry.name === name);
  }
}

/**
 * The xattrs of a new snapshot or clone, besides the engine's own. The original's xattrs come first; one that is given
 * again gets the given value.
 */
export interface DerivedXattrs {
  readonly given: readonly Xattr[];
  /** The names of xattrs that are not taken from the original; undefined: none is taken. */
  readonly inheritsAllBut: readonly string[] | undefined;
}

export const NO_XATTRS: DerivedXattrs = { given: [], inheritsAllBut: undefined };

/** The xattrs of a blob that is made of another one now. */
export function deriveXattrs(original: XattrList, { given, inheritsAllBut }: DerivedXattrs): readonly Xattr[] {
  if (inheritsAllBut === undefined) return given;
  const derived = new XattrList();
  for (const { name, value } of original.entries) if (!inheritsAllBut.includes(name)) derived.set(name, value.slice());
  for (const { name, value } of given) derived.set(name, value);
  return derived.entries;
}

/**
 * Converts a name to its internal form: its UTF-8 bytes, one character for each. Throws EINVAL when it contains a zero
 * character.
 */
export function nameToBytes(name: string): string {
  if (name.includes('\0')) throw new BlobstoreError('EINVAL', 'an xattr name cannot hold a zero character');
  return String.fromCharCode(...new TextEncoder().encode(name));
}

const STRICT_UTF8 = new TextDecoder('utf-8', { fatal: true });

/** Converts a name from its internal form to text. If its bytes are not UTF-8, each stays one character. */
export function nameToText(bytes: string): string {
  try {
    return STRICT_UTF8.decode(Uint8Array.from(bytes, (char) => char.charCodeAt(0)));
  } catch {
    return bytes;
  }
}
