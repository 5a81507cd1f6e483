/** Checks the xattrs and names that users pass. `blob-naming.ts` converts them to the bytes on disk. */

import { types } from 'node:util';
import { BlobstoreError, XATTR_BYTES_MAX } from '@blobyard/core';
import type { Blob, DerivedBlobOptions, XattrValues } from '../api/blob.js';
import type { SnapshotsOptions } from '../api/store.js';
import { checkBytes, checkFunctionOr, checkNotAborted, checkOptions, checkText, invalid, reading } from './checks.js';

const encoder = new TextEncoder();

/** The xattr that holds a blob's name. */
export const NAME_XATTR = 'name';

/** Text, which is stored as UTF-8, or bytes. */
export type XattrValue = string | Uint8Array;

/** The name and xattrs of a new blob. The name can be in `name`, or in `values`, or in both. */
export interface GivenXattrs {
  readonly name: string | undefined;
  readonly values: Readonly<Record<string, XattrValue>>;
}

/** The name and xattrs of a new snapshot or clone. */
export interface DerivedXattrs extends GivenXattrs {
  /** True: the new blob also gets the xattrs of the one that it is made of. Those in `values` replace them. */
  readonly inherits: boolean;
}

export function xattrBytes(value: XattrValue): Uint8Array {
  return typeof value === 'string' ? encoder.encode(value) : value;
}

export function checkXattrName(name: unknown): string {
  return checkText('the name of an xattr', name);
}

/**
 * Returns the checked value; of bytes, a copy. Throws EINVAL if the value is empty, or if name and value together do
 * not fit into a metadata page.
 */
export function checkXattrValue(name: string, value: unknown): XattrValue {
  const what = `xattr '${name.slice(0, 64)}'`;
  // The message does not show the value: it may be a secret.
  if (typeof value === 'string' && !value.isWellFormed()) {
    throw new BlobstoreError('EINVAL', `${what} must be text that UTF-8 can hold; it has half of a surrogate pair`);
  }
  const checked = typeof value === 'string' ? value : checkXattrBytes(what, value).slice();
  const length = encoder.encode(name).length + xattrBytes(checked).length;
  if (checked.length > 0 && length <= XATTR_BYTES_MAX) return checked;
  const wanted =
    checked.length === 0
      ? 'has an empty value; it needs at least one byte'
      : `and its name take ${length} bytes; ${XATTR_BYTES_MAX} fit`;
  throw new BlobstoreError('EINVAL', `${what} ${wanted}`);
}

function checkXattrBytes(what: string, value: unknown): Uint8Array {
  if (types.isUint8Array(value)) return checkBytes(what, value);
  throw new BlobstoreError('EINVAL', `${what} is of type ${typeof value}; it must be text or a Uint8Array`);
}

/** Returns several checked xattrs by name. */
export function checkXattrs(values: XattrValues | undefined): Record<string, XattrValue> {
  if (values === undefined) return {};
  return reading('xattrs', () => {
    const isNamed =
      typeof values === 'object' && values !== null && !Array.isArray(values) && !ArrayBuffer.isView(values);
    if (!isNamed) throw invalid('xattrs', values, 'an object of values by name');
    const checked = Object.entries(values).map(([name, value]) => [checkXattrName(name), checkXattrValue(name, value)]);
    return Object.fromEntries(checked) as Record<string, XattrValue>;
  });
}

/** Returns the checked name and xattrs of a new blob. */
export function givenXattrs(options: { readonly name?: string; readonly xattrs?: XattrValues }): GivenXattrs {
  const values = checkXattrs(options.xattrs);
  if (options.name === undefined) return { name: undefined, values };
  const name = checkText('the name of a blob', options.name);
  checkXattrValue(NAME_XATTR, name);
  return { name, values };
}

/** Returns the checked name and xattrs of a new snapshot or clone. Throws the error of an abort. */
export function derivedXattrs(doing: 'snapshot' | 'clone', given: DerivedBlobOptions | undefined): DerivedXattrs {
  const options = checkOptions(`options of a ${doing}`, given, ['name', 'xattrs', 'signal']);
  checkNotAborted(options.signal);
  const { name, xattrs = 'inherit' } = options;
  if (typeof xattrs !== 'string') return { ...givenXattrs({ name, xattrs }), inherits: true };
  if (xattrs !== 'inherit' && xattrs !== 'none') throw invalid('xattrs', xattrs, "'inherit', 'none' or values by name");
  return { ...givenXattrs({ name }), inherits: xattrs === 'inherit' };
}

/** Returns the checked names and xattrs of new snapshots, one for each blob. Throws the error of an abort. */
export function derivedXattrsOf(blobs: readonly Blob[], options: SnapshotsOptions | undefined): DerivedXattrs[] {
  const { name, xattrs, signal } = checkOptions('options of snapshots', options, ['name', 'xattrs', 'signal']);
  checkNotAborted(signal);
  checkFunctionOr('name', name);
  return blobs.map((blob) => derivedXattrs('snapshot', { name: name?.(blob), xattrs }));
}
