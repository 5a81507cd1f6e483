/** Checks the options to create and to open a blob, and converts them to those of the engine. */

import type { ClearMethod } from '@blobyard/core';
import type { BlobAddress, BlobFilter, CreateBlobOptions, OpenBlobOptions } from '../api/store.js';
import {
  checkBooleanOr,
  checkBytes,
  checkChoiceOr,
  checkIntegerOr,
  checkNotAborted,
  checkOptions,
  checkText,
  invalid,
  reading,
} from './checks.js';
import { type GivenXattrs, givenXattrs } from './xattr-values.js';

const CLEAR_METHODS: readonly [ClearMethod, ...ClearMethod[]] = ['default', 'none', 'unmap', 'write_zeroes'];
const CREATE_OPTIONS = [
  'sizeBytes',
  'thin',
  'name',
  'xattrs',
  'clearMethod',
  'useExtentTable',
  'externalSnapshotId',
  'signal',
] as const;

/** The checked options of a new blob. */
export interface NewBlob {
  readonly clusterCount: number;
  readonly thin: boolean;
  readonly clearMethod: ClearMethod;
  readonly useExtentTable: boolean;
  readonly externalSnapshotId: Uint8Array | undefined;
  readonly xattrs: GivenXattrs;
}

/** Returns the checked options of a new blob. Throws EINVAL if they are invalid, and the error of an abort. */
export function checkCreateBlob(options: CreateBlobOptions | undefined, clusterBytes: number): NewBlob {
  const given = checkOptions('options of a blob', options, CREATE_OPTIONS);
  checkNotAborted(given.signal);
  const sizeBytes = checkIntegerOr('sizeBytes', given.sizeBytes, 0, 0, Number.MAX_SAFE_INTEGER);
  return {
    clusterCount: Math.ceil(sizeBytes / clusterBytes),
    thin: checkBooleanOr('thin', given.thin, false),
    clearMethod: checkChoiceOr('clearMethod', given.clearMethod, CLEAR_METHODS),
    useExtentTable: checkBooleanOr('useExtentTable', given.useExtentTable, true),
    externalSnapshotId: checkExternalId(given.externalSnapshotId),
    xattrs: givenXattrs(given),
  };
}

/** Returns the checked options to open a blob. Throws EINVAL if they are invalid, and the error of an abort. */
export function checkOpenBlob(options: OpenBlobOptions | undefined): OpenBlobOptions {
  const { clearMethod, signal } = checkOptions('options of opening a blob', options, ['clearMethod', 'signal']);
  checkNotAborted(signal);
  return clearMethod === undefined ? {} : { clearMethod: checkChoiceOr('clearMethod', clearMethod, CLEAR_METHODS) };
}

/** Returns a copy of a list of blobs. Throws EINVAL unless it is an array; its elements are not checked. */
export function checkBlobList<T>(blobs: readonly T[]): readonly T[] {
  return reading('the blobs', () => {
    if (!Array.isArray(blobs)) throw invalid('the blobs', blobs, 'an array of open blobs');
    return [...(blobs as readonly T[])];
  });
}

export interface CheckedFilter {
  readonly filter: Omit<BlobFilter, 'signal'>;
  readonly signal: AbortSignal | undefined;
}

/** Returns the checked filter of a list of blobs. Throws EINVAL if it is invalid, and the error of an abort. */
export function checkBlobFilter(filter: BlobFilter | undefined): CheckedFilter {
  const known = ['prefix', 'snapshots', 'clones', 'parent', 'signal'] as const;
  const { signal, ...given } = checkOptions('filter of blobs', filter, known);
  checkNotAborted(signal);
  const { prefix, snapshots, clones, parent } = given;
  if (prefix !== undefined && typeof prefix !== 'string') throw invalid('prefix', prefix, 'text');
  checkBooleanOr('snapshots', snapshots, false);
  checkBooleanOr('clones', clones, false);
  return { filter: parent === undefined ? given : { ...given, parent: checkAddress(parent) }, signal };
}

/** Returns the checked id or name of a blob. Throws EINVAL if it is neither. */
export function checkAddress(address: unknown): BlobAddress {
  if (typeof address === 'bigint') return address;
  return reading('the blob', () => {
    if (typeof address !== 'object' || address === null || !('name' in address)) {
      throw invalid('the blob', address, 'an id (a bigint) or an object with a name');
    }
    return { name: checkText('the name of a blob', address.name) };
  });
}

function checkExternalId(id: unknown): Uint8Array | undefined {
  if (id === undefined) return undefined;
  if (typeof id === 'string') return new TextEncoder().encode(checkText('externalSnapshotId', id));
  const bytes = checkBytes('externalSnapshotId', id);
  if (bytes.length === 0) throw invalid('externalSnapshotId', id, 'text or bytes that are not empty');
  return bytes.slice();
}
