/**
 * How names of blobs are stored. In a store of Blobyard's own they are text. In an lvolstore, the store of SPDK's
 * logical volumes, they are C strings: text and a zero byte, 64 bytes at most, which SPDK pads to 64 when it creates a
 * volume. There each blob must have a name, and should have a uuid. If one blob has no name, SPDK refuses the whole
 * store.
 */

import { randomUUID } from 'node:crypto';
import { types } from 'node:util';
import { type Blobstore, BlobstoreError } from '@blobyard/core';
import { checkBytes, checkText, invalid } from '../checks/checks.js';
import { type GivenXattrs, NAME_XATTR, type XattrValue, xattrBytes } from '../checks/xattr-values.js';

/** The name and the xattrs of a new blob; the xattrs include the name. */
export interface NewXattrs {
  readonly name: string | undefined;
  readonly values: Readonly<Record<string, Uint8Array>>;
}

export interface BlobNaming {
  /** Returns the name in the value of the xattr `name`. Undefined if it is empty or no valid text. */
  nameIn(value: Uint8Array): string | undefined;
  /** Returns the text in the value of an xattr. */
  textIn(xattr: string, value: Uint8Array): string;
  /**
   * Checks a name that a user gives, as text or as the value of the xattr `name`. Throws EINVAL if it is invalid.
   * Returns it as text.
   */
  checkName(given: XattrValue): string;
  /** Returns the xattrs of a new blob. Throws EINVAL if they are invalid. */
  forNew(given: GivenXattrs): NewXattrs;
  /**
   * Returns the value of a changed xattr, as it is written to the disk. Throws EINVAL if it is invalid.
   * @param given - undefined: it is removed
   * @param isSuper - the blob is the store's super blob
   */
  forChange(xattr: string, given: XattrValue | undefined, isSuper: boolean): Uint8Array | undefined;
}

export function isLvolstore({ bstype }: Blobstore): boolean {
  return bstype === 'LVOLSTORE';
}

export function namingOf(blobstore: Blobstore): BlobNaming {
  return isLvolstore(blobstore) ? LVOL_NAMING : TEXT_NAMING;
}

const TEXT_NAMING: BlobNaming = {
  nameIn: (value) => textOf(value) || undefined,
  textIn: (_, value) => new TextDecoder().decode(value),
  checkName(given) {
    if (!types.isUint8Array(given)) return checkText('the name of a blob', given);
    const name = textOf(checkBytes('the name of a blob', given));
    if (!name) throw invalid('the name of a blob', given, 'text, or its UTF-8 bytes');
    return checkText('the name of a blob', name);
  },
  forNew(given) {
    const name = theName(given, this);
    const values = encoded(given.values);
    return { name, values: given.name === undefined ? values : { ...values, [NAME_XATTR]: xattrBytes(given.name) } };
  },
  forChange(xattr, given) {
    if (xattr === NAME_XATTR && given !== undefined) this.checkName(given);
    return given === undefined ? undefined : xattrBytes(given);
  },
};

/** Bytes of a volume's name, including its zero byte. */
const LVOL_NAME_BYTES = 64;
const UUID_XATTR = 'uuid';
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

const LVOL_NAMING: BlobNaming = {
  nameIn: (value) => textOf(cBytes(value)) || undefined,
  textIn: (xattr, value) => new TextDecoder().decode(isCString(xattr) ? cBytes(value) : value),
  checkName(given) {
    if (types.isUint8Array(given)) {
      const bytes = checkBytes('the name of a blob', given);
      const name = bytes.length <= LVOL_NAME_BYTES && bytes.includes(0) ? textOf(cBytes(bytes)) : undefined;
      if (name) return name;
      const wanted = `UTF-8 bytes with a zero byte behind them, ${LVOL_NAME_BYTES} at most, or text`;
      throw invalid('the name of a blob in an lvolstore', given, wanted);
    }
    const name = checkText('the name of a blob', given);
    const length = xattrBytes(name).length;
    if (length < LVOL_NAME_BYTES) return name;
    throw new BlobstoreError(
      'EINVAL',
      `the name has ${length} bytes; in an lvolstore it must have ${LVOL_NAME_BYTES - 1} at most: choose a shorter one`,
    );
  },
  forNew(given) {
    const name = theName(given, this);
    if (name === undefined) throw unnamed('be created without a name');
    const nameBytes = new Uint8Array(LVOL_NAME_BYTES);
    nameBytes.set(xattrBytes(name));
    const uuid = checkUuid(given.values[UUID_XATTR] ?? randomUUID());
    const { [NAME_XATTR]: _, ...others } = encoded(given.values);
    return { name, values: { [NAME_XATTR]: nameBytes, ...others, [UUID_XATTR]: uuid } };
  },
  forChange(xattr, given, isSuper) {
    if (xattr === NAME_XATTR) {
      if (given === undefined) throw unnamed('lose its name');
      return cString(this.checkName(given));
    }
    if (xattr !== UUID_XATTR) return given === undefined ? undefined : xattrBytes(given);
    if (given !== undefined) return checkUuid(given);
    if (!isSuper) return undefined;
    throw new BlobstoreError(
      'EINVAL',
      "the super blob's uuid cannot be deleted: it is that of the lvolstore, and SPDK refuses a store without it",
    );
  },
};

/** Returns the name given to a blob, as an option or as an xattr. Throws EINVAL if both are given and differ. */
function theName(given: GivenXattrs, naming: BlobNaming): string | undefined {
  const value = given.values[NAME_XATTR];
  const inXattrs = value === undefined ? undefined : naming.checkName(value);
  const asOption = given.name === undefined ? undefined : naming.checkName(given.name);
  if (inXattrs !== undefined && asOption !== undefined && inXattrs !== asOption) {
    throw new BlobstoreError(
      'EINVAL',
      `the blob is given two names, '${asOption}' and, as an xattr, '${inXattrs}': give one`,
    );
  }
  return asOption ?? inXattrs;
}

function encoded(values: Readonly<Record<string, XattrValue>>): Record<string, Uint8Array> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, xattrBytes(value)]));
}

/** Checks a uuid, and returns it as SPDK stores it: a C string. Throws EINVAL if it is not a UUID. */
function checkUuid(given: XattrValue): Uint8Array {
  const text = typeof given === 'string' ? given : given.at(-1) === 0 ? textOf(given.subarray(0, -1)) : undefined;
  if (text !== undefined && UUID.test(text)) return cString(text);
  throw invalid('the xattr uuid in an lvolstore', given, 'a UUID as text, or as bytes with a zero byte behind them');
}

function isCString(xattr: string): boolean {
  return xattr === NAME_XATTR || xattr === UUID_XATTR;
}

function cString(text: string): Uint8Array {
  return xattrBytes(`${text}\0`);
}

function cBytes(value: Uint8Array): Uint8Array {
  const end = value.indexOf(0);
  return end < 0 ? value : value.subarray(0, end);
}

/** Decodes UTF-8; undefined when the bytes are not valid UTF-8. */
function textOf(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function unnamed(what: string): BlobstoreError {
  const reason = 'SPDK refuses the whole store if one blob has no name';
  return new BlobstoreError('EINVAL', `a blob of an lvolstore cannot ${what}: ${reason}; give it a name`);
}
