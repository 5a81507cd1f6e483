/** A blob's xattrs in the order in which they were first set; names are strings of one character a byte. */

import type { Xattr } from '../format/xattr.js';
import { BlobstoreError } from '../units/error.js';

export class XattrList {
  readonly #entries: Xattr[] = [];

  get entries(): readonly Xattr[] {
    return this.#entries;
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  get(name: string): Uint8Array | undefined {
    return this.#find(name)?.value;
  }

  /** Sets or replaces; a replaced xattr keeps its place. */
  set(name: string, value: Uint8Array): void {
    const found = this.#find(name);
    if (found) found.value = value;
    else this.#entries.push({ name, value });
  }

  /** Adds at the end, whatever is there: for reading from disk. */
  append(xattr: Xattr): void {
    this.#entries.push(xattr);
  }

  /** Answers whether the name was there. */
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

/** A name as it is kept: its UTF-8 bytes, one character each. EINVAL when it holds a zero character. */
export function nameToBytes(name: string): string {
  if (name.includes('\0')) throw new BlobstoreError('EINVAL', 'an xattr name cannot hold a zero character');
  return String.fromCharCode(...new TextEncoder().encode(name));
}

const STRICT_UTF8 = new TextDecoder('utf-8', { fatal: true });

/** A kept name as text; bytes that are no UTF-8 stay one character each. */
export function nameToText(bytes: string): string {
  try {
    return STRICT_UTF8.decode(Uint8Array.from(bytes, (char) => char.charCodeAt(0)));
  } catch {
    return bytes;
  }
}
