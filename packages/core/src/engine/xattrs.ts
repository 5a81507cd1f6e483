/** Xattrs in the form in which users of the engine pass them: by name. */

import { type DerivedXattrs, nameToBytes } from '../blob/xattr-list.js';
import type { Xattr } from '../format/xattr.js';
import { checkBytes } from '../units/argument-checks.js';
import { checkOptions } from './engine-checks.js';

export type Xattrs = Readonly<Record<string, Uint8Array>>;

/**
 * Returns copies of xattrs in the form in which a blob stores them; an empty list for undefined. EINVAL unless names
 * and values are valid.
 */
export function xattrList(xattrs: Xattrs | undefined): Xattr[] {
  return Object.entries(checkXattrs(xattrs)).map(([name, value]) => ({
    name: nameToBytes(name),
    value: value.slice(),
  }));
}

/**
 * The xattrs of a new snapshot or clone.
 * @param inheritsAllBut - the names of those that are not taken from the original; undefined: none is taken
 * @throws EINVAL invalid names or values
 */
export function derivedXattrs(xattrs: Xattrs | undefined, inheritsAllBut?: readonly string[]): DerivedXattrs {
  return { given: xattrList(xattrs), inheritsAllBut: inheritsAllBut?.map(nameToBytes) };
}

function checkXattrs(xattrs: unknown): Xattrs {
  if (xattrs === undefined) return {};
  const copy = { ...checkOptions('xattrs', xattrs) };
  for (const value of Object.values(copy)) checkBytes('the value of an xattr', value);
  return copy as Xattrs;
}
