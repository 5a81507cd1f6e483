/** The exports of the package `blobyard` and of its subpaths: no name is missing, and there is no other. */

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as root from 'blobyard';
import * as devices from 'blobyard/devices';
import * as engine from 'blobyard/engine';
import { expect, test } from 'vitest';

const DIST = fileURLToPath(new URL('../../../packages/blobyard/dist/', import.meta.url));

test('blobyard exports the names that a user needs, some twenty', () => {
  expect(Object.keys(root).sort()).toEqual([
    'BlobstoreError',
    'DamagedStoreError',
    'FileDevice',
    'MemoryDevice',
    'SparseMemoryDevice',
    'attach',
    'check',
    'createStore',
    'openStore',
  ]);
  const types = readFileSync(`${DIST}index.d.ts`, 'utf8').match(/\btype \w+/g) ?? [];
  expect(types.length).toBeLessThanOrEqual(16);
});

test('blobyard/devices exports what is needed to write a device, and to test one', () => {
  expect(Object.keys(devices).sort()).toEqual([
    'DIRECT_ALIGNMENT_BYTES',
    'FaultyDevice',
    'FileDevice',
    'MemoryDevice',
    'OPERATION_KINDS',
    'OverlayDevice',
    'SparseMemoryDevice',
    'acquireStoreLock',
    'allocateAligned',
    'asyncDevice',
    'deviceSuite',
    'isAligned',
    'isResizable',
    'nodeFileSystem',
    'openDevice',
    'sharedSpec',
    'storeLockHolder',
  ]);
});

test('blobyard/engine exports the engine', () => {
  expect(Object.keys(engine).sort()).toEqual([
    'Blobstore',
    'Channel',
    'ERRNO',
    'Geometry',
    'XATTR_BYTES_MAX',
    'checkStore',
    'dumpStore',
    'isRepairable',
    'run',
    'runSync',
  ]);
});

test('blobyard/types has no values', async () => {
  expect(Object.keys(await import('blobyard/types' as string))).toEqual([]);
});
