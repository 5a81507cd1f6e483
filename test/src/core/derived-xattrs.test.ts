/** The xattrs that the engine gives a snapshot or a clone: none unless asked, as in the specification. */

import { Blobstore, runSync } from '@blobyard/core';
import { SparseMemoryDevice } from '@blobyard/io';
import { expect, test } from 'vitest';

const CLUSTER_BYTES = 16_384;

function newStore(): Blobstore {
  const device = new SparseMemoryDevice({ sizeBytes: 64 * CLUSTER_BYTES });
  return runSync(Blobstore.init(device, { clusterBytes: CLUSTER_BYTES }));
}

function xattrsOf(store: Blobstore, id: bigint): Record<string, number[]> {
  const blob = runSync(store.openBlob(id));
  const found = Object.fromEntries(store.xattrNames(blob).map((name) => [name, [...store.getXattr(blob, name)]]));
  runSync(store.closeBlob(blob));
  return found;
}

test('snapshots and clones get the given xattrs, and inherit only when that is asked for', () => {
  const store = newStore();
  const xattrs = { name: Uint8Array.of(1), kept: Uint8Array.of(2), changed: Uint8Array.of(3) };
  const id = runSync(store.createBlob({ clusterCount: 1, thin: true, xattrs }));
  const given = { changed: Uint8Array.of(4), more: Uint8Array.of(5) };
  const plain = runSync(store.createSnapshot(id, given));
  expect(xattrsOf(store, plain)).toEqual({ changed: [4], more: [5] });
  const derived = runSync(store.createSnapshot(id, given, ['name']));
  expect(xattrsOf(store, derived)).toEqual({ kept: [2], changed: [4], more: [5] });
  expect(Object.keys(xattrsOf(store, derived))).toEqual(['kept', 'changed', 'more']);
  expect(xattrsOf(store, runSync(store.createClone(derived, {}, [])))).toEqual(xattrsOf(store, derived));
  expect(xattrsOf(store, runSync(store.createClone(derived)))).toEqual({});
  expect(xattrsOf(store, id)).toEqual({ name: [1], kept: [2], changed: [3] });
});

test('an inherited value is not changed by a later one of the original, and names that are no UTF-8 stay as they are', () => {
  const store = newStore();
  const id = runSync(store.createBlob({ clusterCount: 1, thin: true, xattrs: { a: Uint8Array.of(1) } }));
  const blob = runSync(store.openBlob(id));
  blob.setXattr('\u00ff\u0080', Uint8Array.of(7), false); // in the engine, a character is a byte of the name
  const snapshot = runSync(store.createSnapshot(id, undefined, []));
  store.setXattr(blob, 'a', Uint8Array.of(9));
  runSync(store.closeBlob(blob));
  const copy = runSync(store.openBlob(snapshot));
  expect(copy.xattrs.entries.map(({ name, value }) => [name, [...value]])).toEqual([
    ['a', [1]],
    ['\u00ff\u0080', [7]],
  ]);
});
