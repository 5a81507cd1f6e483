/** Views of blobs in shared memory, while the metadata thread changes the blobs. */

import { BLOB, BLOB_FLAG, SharedStore } from '@blobyard/core';
import { expect, test } from 'vitest';
import { ArenaTable } from '../../../packages/core/dist/blob/arena-table.js';
import { BlobView } from '../../../packages/workers/dist/data/blob-view.js';

/** A blob in shared memory, as the metadata thread makes it, and the view of another thread. */
function opened(clusters: readonly number[]) {
  const store = SharedStore.create({ clusterCount: 1000, clusterCountMax: 1000, mdPageCount: 100 }, 0);
  const slot = store.blobs.allocate();
  const publish = (entries: readonly number[]) => {
    const table = new ArenaTable(store.maps);
    table.extend(entries.length);
    for (const [index, entry] of entries.entries()) table.set(index, entry);
    store.blobs.store(slot, BLOB.MAP_OFFSET, table.offset);
    store.blobs.store(slot, BLOB.CLUSTER_COUNT, entries.length);
    store.blobs.add(slot, BLOB.MAP_EPOCH, 1);
    return table;
  };
  const table = publish(clusters);
  store.blobs.store(slot, BLOB.PARENT_PAGE, 7);
  store.blobs.store(slot, BLOB.FLAGS, BLOB_FLAG.OPEN);
  const elsewhere = new SharedStore(store.buffers, 1);
  const view = new BlobView(elsewhere, slot, store.blobs.load(slot, BLOB.GENERATION));
  return { store, slot, table, publish, view, elsewhere };
}

/** Runs a function once, after the view has read the position of the map, and before it reads the map. */
function beforeFirstScan({ maps }: SharedStore, change: () => void): void {
  const find = maps.findIn.bind(maps);
  let isFirst = true;
  maps.findIn = (map, start, end, isData) => {
    if (isFirst) change();
    isFirst = false;
    return find(map, start, end, isData);
  };
}

test('a view shows the present state of the blob', () => {
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

test('a view of a closed blob shows the last state that it has read, even if another blob has the block now', () => {
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
  beforeFirstScan(elsewhere, () => publish([0, 4, 0, 8]));
  expect(view.find(0, true)).toBe(1);
});

test('a map is read again if a part of it is freed and given to another map meanwhile', () => {
  const { store, slot, table, view, elsewhere } = opened([...Array(512).fill(0), ...Array(512).fill(3)]);
  const count = (clusters: number) => {
    store.blobs.store(slot, BLOB.CLUSTER_COUNT, clusters);
    store.blobs.store(slot, BLOB.MAP_OFFSET, table.offset);
    store.blobs.add(slot, BLOB.MAP_EPOCH, 1);
  };
  beforeFirstScan(elsewhere, () => {
    table.truncate(512); // the blob became shorter, and was synced
    count(512);
    const other = new ArenaTable(store.maps); // another blob gets the leaf
    other.extend(1024, true);
    table.extend(1024); // and the blob becomes as long as it was
    count(1024);
    for (let index = 0; index < 1024; index++) other.set(index, 9);
  });
  expect(view.find(0, true)).toBe(undefined);
});

test('whether one cluster is allocated does not depend on the clusters behind it', () => {
  const { view, elsewhere } = opened([0, 5, ...Array(2000).fill(0)]);
  const asked: [number, number][] = [];
  const find = elsewhere.maps.findIn.bind(elsewhere.maps);
  elsewhere.maps.findIn = (map, start, end, isData) => {
    asked.push([start, end]);
    return find(map, start, end, isData);
  };
  expect([view.isAllocated(0), view.isAllocated(1), view.isAllocated(1999)]).toEqual([false, true, false]);
  expect(asked).toEqual([
    [0, 1],
    [1, 2],
    [1999, 2000],
  ]);
});

test('reading a map never fails, even if another thread uses its memory for something else', () => {
  const { store, elsewhere } = opened([1]);
  const at = store.maps.allocate(16);
  for (let index = 0; index < 16; index++) store.maps.store(at + index, 0xffff_fff0);
  expect(elsewhere.maps.findIn(at, 0, 100_000, true)).toBe(undefined);
  expect(elsewhere.maps.findIn(0xffff_fff0, 0, 4, false)).toBe(0);
});
