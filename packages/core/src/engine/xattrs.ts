/** Xattrs in the form in which users of the engine pass them: by name. */

import { type DerivedXattrs, nameToBytes } from '../blob/xattr-list.js';
import type { Xattr } from '../format/xattr.js';
import type { SnapshotAsked } from '../metadata/snapshot.js';
import { checkBytes } from '../units/argument-checks.js';
import type { BlobId } from '../units/units.js';
import { checkId, checkList, checkName, checkOptions } from './engine-checks.js';

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
  if (inheritsAllBut === undefined) return { given: xattrList(xattrs), inheritsAllBut };
  const names = checkList('the names of xattrs that are not inherited', inheritsAllBut);
  return { given: xattrList(xattrs), inheritsAllBut: names.map((name) => nameToBytes(checkName(name))) };
}

/** A snapshot that is asked for together with others: see `Blobstore.createSnapshot`. */
export interface SnapshotOptions {
  readonly id: BlobId;
  readonly xattrs?: Xattrs;
  readonly inheritsAllBut?: readonly string[];
}

/** Returns the checked snapshots that are asked for. EINVAL unless they are valid. */
export function snapshotsAsked(asked: readonly SnapshotOptions[]): SnapshotAsked[] {
  return checkList('the snapshots', asked).map((each) => {
    const { id, xattrs, inheritsAllBut } = checkOptions<SnapshotOptions>('a snapshot', each);
    return { id: checkId(id), xattrs: derivedXattrs(xattrs, inheritsAllBut) };
  });
}

function checkXattrs(xattrs: unknown): Xattrs {
  if (xattrs === undefined) return {};
  const copy = { ...checkOptions('xattrs', xattrs) };
  for (const value of Object.values(copy)) checkBytes('the value of an xattr', value);
  return copy as Xattrs;
}
