/** Xattrs and names that users give, checked, and as the engine wants them. */

import { types } from 'node:util';
import { BlobstoreError, XATTR_BYTES_MAX } from '@blobyard/core';
import type { XattrValues } from '../api/blob.js';
import { checkBytes, checkText, invalid, reading } from '../checks.js';
import { checkName, NAME_XATTR } from './catalogue.js';

const encoder = new TextEncoder();

/** Values that a new blob is given, its name among them. */
export interface GivenXattrs {
  readonly name: string | undefined;
  readonly values: Readonly<Record<string, Uint8Array>>;
}

export function checkXattrName(name: unknown): string {
  return checkText('the name of an xattr', name);
}

/** The value as bytes of its own. EINVAL when it and the name are more than fits a page of metadata. */
export function checkXattrValue(name: string, value: unknown): Uint8Array {
  const what = `xattr '${name.slice(0, 64)}'`;
  // The message does not show the value: it may be a secret.
  if (typeof value === 'string' && !value.isWellFormed()) {
    throw new BlobstoreError('EINVAL', `${what} must be text that UTF-8 can hold; it has half of a surrogate pair`);
  }
  const bytes = typeof value === 'string' ? encoder.encode(value) : checkXattrBytes(what, value).slice();
  const length = encoder.encode(name).length + bytes.length;
  if (bytes.length > 0 && length <= XATTR_BYTES_MAX) return bytes;
  const wanted = bytes.length === 0 ? 'needs a value' : `and its name take ${length} bytes; ${XATTR_BYTES_MAX} fit`;
  throw new BlobstoreError('EINVAL', `${what} ${wanted}`);
}

function checkXattrBytes(what: string, value: unknown): Uint8Array {
  if (types.isUint8Array(value)) return checkBytes(what, value);
  throw new BlobstoreError('EINVAL', `${what} is of type ${typeof value}; it must be text or a Uint8Array`);
}

/** Several xattrs by name. */
export function checkXattrs(values: XattrValues | undefined): Record<string, Uint8Array> {
  if (values === undefined) return {};
  return reading('xattrs', () => {
    const isNamed =
      typeof values === 'object' && values !== null && !Array.isArray(values) && !ArrayBuffer.isView(values);
    if (!isNamed) throw invalid('xattrs', values, 'an object of values by name');
    const checked = Object.entries(values).map(([name, value]) => [checkXattrName(name), checkXattrValue(name, value)]);
    return Object.fromEntries(checked) as Record<string, Uint8Array>;
  });
}

/** The xattrs of a new blob. EINVAL when it is given two names. */
export function givenXattrs(options: { readonly name?: string; readonly xattrs?: XattrValues }): GivenXattrs {
  const values = checkXattrs(options.xattrs);
  const inXattrs = Object.hasOwn(values, NAME_XATTR) ? checkName(values[NAME_XATTR]) : undefined;
  const asOption = options.name === undefined ? undefined : checkName(options.name);
  if (inXattrs !== undefined && asOption !== undefined && inXattrs !== asOption) {
    throw new BlobstoreError('EINVAL', `the blob is given two names, '${asOption}' and, as an xattr, '${inXattrs}'`);
  }
  if (asOption === undefined) return { name: inXattrs, values };
  return { name: asOption, values: { ...values, [NAME_XATTR]: checkXattrValue(NAME_XATTR, asOption) } };
}
