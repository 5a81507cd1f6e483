/** Options of creating and opening blobs, checked, and as the engine wants them. */

import type { ClearMethod, CreateOptions, OpenBlobOptions as EngineOpenOptions } from '@blobyard/core';
import type { BlobAddress, CreateBlobOptions, OpenBlobOptions } from '../api/store.js';
import {
  checkBooleanOr,
  checkBytes,
  checkChoiceOr,
  checkIntegerOr,
  checkOptions,
  checkText,
  invalid,
  reading,
} from './checks.js';
import { givenXattrs } from './xattr-values.js';

const CLEAR_METHODS: readonly [ClearMethod, ...ClearMethod[]] = ['default', 'none', 'unmap', 'write_zeroes'];
const CREATE_OPTIONS = [
  'sizeBytes',
  'thin',
  'name',
  'xattrs',
  'clearMethod',
  'useExtentTable',
  'externalSnapshotId',
] as const;

/** A new blob's name and xattrs, its size, and what else the engine needs to know. Throws EINVAL for options that cannot be. */
export function checkCreateBlob(options: CreateBlobOptions | undefined, clusterBytes: number) {
  const given = checkOptions('options of a blob', options, CREATE_OPTIONS);
  const sizeBytes = checkIntegerOr('sizeBytes', given.sizeBytes, 0, 0, Number.MAX_SAFE_INTEGER);
  const engineOptions: CreateOptions = {
    clusterCount: Math.ceil(sizeBytes / clusterBytes),
    thin: checkBooleanOr('thin', given.thin, false),
    clearMethod: checkChoiceOr('clearMethod', given.clearMethod, CLEAR_METHODS),
    useExtentTable: checkBooleanOr('useExtentTable', given.useExtentTable, true),
    externalSnapshotId: checkExternalId(given.externalSnapshotId),
  };
  return { given: givenXattrs(given), sizeBytes, engineOptions };
}

export function checkOpenBlob(options: OpenBlobOptions | undefined): EngineOpenOptions {
  const { clearMethod } = checkOptions('options of opening a blob', options, ['clearMethod']);
  return clearMethod === undefined ? {} : { clearMethod: checkChoiceOr('clearMethod', clearMethod, CLEAR_METHODS) };
}

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
