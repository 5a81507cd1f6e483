import { BLOB, BLOB_FLAG, SharedStore } from '@blobyard/core';
import { expect, test } from 'vitest';
import { BlobView } from '../../../packages/workers/dist/data/blob-view.js';

/** A blob in shared memory as the metadata thread makes it, and another thread's view of it. */
function opened(clusters: readonly number[]) {
  const store = SharedStore.create({ clusterCount: 1000, clusterCountMax: 1000, mdPageCount: 100 }, 0);
  const slot = store.blobs.allocate();
  const publish = (entries: readonly number[]) => {
    const at = store.maps.allocate(entries.length);
    for (const [index, entry] of entries.entries()) store.maps.store(at + index, entry);
    store.blobs.store(slot, BLOB.MAP_OFFSET, at);
    store.blobs.store(slot, BLOB.CLUSTER_COUNT, entries.length);
  };
  publish(clusters);
  store.blobs.store(slot, BLOB.PARENT_PAGE, 7);
  store.blobs.store(slot, BLOB.FLAGS, BLOB_FLAG.OPEN);
  const elsewhere = new SharedStore(store.buffers, 1);
  const view = new BlobView(elsewhere, slot, store.blobs.load(slot, BLOB.GENERATION));
  return { store, slot, publish, view, elsewhere };
}

test('a view shows the blob as it is', () => {
  const { store, slot, publish, view } = opened([0, 5, 0, 6]);
  expect([view.clusterCount, view.isReadOnly, view.parentId]).toEqual([4, false, (1n << 32n) + 7n]);
  expect([view.find(0, true), view.find(2, true), view.find(1, false)]).toEqual([1, 3, 2]);
  publish([0, 5, 0, 6, 0, 0, 9]);
  store.blobs.store(slot, BLOB.FLAGS, BLOB_FLAG.OPEN | BLOB_FLAG.DATA_RO);
  expect([view.clusterCount, view.isReadOnly, view.find(4, true)]).toEqual([7, true, 6]);
  expect([view.find(7, true), view.find(7, false), view.isAllocated(6), view.isAllocated(5)]).toEqual([
    undefined,
    undefined,
    true,
    false,
  ]);
});

test('a view of a blob that was closed shows what it saw last, whoever has the block then', () => {
  const { store, slot, publish, view } = opened([0, 5]);
  store.blobs.free(slot);
  expect([view.clusterCount, view.isReadOnly, view.parentId]).toEqual([2, false, (1n << 32n) + 7n]);
  expect(store.blobs.allocate()).toBe(slot);
  publish([1, 2, 3]);
  store.blobs.store(slot, BLOB.FLAGS, BLOB_FLAG.OPEN | BLOB_FLAG.DATA_RO);
  expect([view.clusterCount, view.isReadOnly, view.parentId]).toEqual([2, false, (1n << 32n) + 7n]);
});

test('a map that moves while it is read is read again', () => {
  const { publish, view, elsewhere } = opened([0, 0, 0, 8]);
  const load = elsewhere.maps.load.bind(elsewhere.maps);
  let loads = 0;
  elsewhere.maps.load = (at) => {
    if (++loads === 2) publish([0, 4, 0, 8]);
    return load(at);
  };
  expect(view.find(0, true)).toBe(1);
});
