/** The order of the writes and write barriers that make metadata durable (docs/WRITE-ORDER.md). */

import { type Blob, type BlobId, type MdPage, pageOfBlobId, runSync } from '@blobyard/core';
import { expect, test } from 'vitest';
import { CONFIGURATIONS, PER_CLUSTER, Yard } from '../peer/fixture.js';

/** Blob ids, by the name that a test gives to the root of the blob. */
type Names = Readonly<Record<string, BlobId>>;

class OrderYard extends Yard {
  constructor(useExtentTable = true) {
    super(CONFIGURATIONS.find((each) => each.useExtentTable === useExtentTable && !each.canCopy));
    const first = this.make({ clusterCount: 1, thin: true }); // from here on the store is dirty on disk
    this.write(first, 0, 1, 1); // and its high-water mark is above all clusters here
  }

  /**
   * Runs an operation. Returns its writes to the metadata region and its barriers, in order. A write is the name of a
   * root in `names`, or `page`: an extent page, or another page of a chain.
   */
  orderOf(operation: () => void, names: () => Names): string[] {
    this.recorder.take();
    operation();
    const { geometry } = this.store;
    const [start, end] = [0, geometry.mdPageCount].map((page) => geometry.mdPageToLba(page as MdPage));
    const roots = new Map(
      Object.entries(names()).map(([name, id]) => [geometry.mdPageToLba(pageOfBlobId(id)) as number, name]),
    );
    return this.recorder.take().flatMap(({ kind, lba }) => {
      if (kind === 'flush') return ['barrier'];
      if (!['write', 'writeZeroes'].includes(kind) || lba < start || lba >= end) return [];
      return [`${kind === 'write' ? '' : 'zero '}${roots.get(lba) ?? 'page'}`];
    });
  }

  writeFirst(blob: Blob, cluster: number): void {
    this.write(blob, cluster * PER_CLUSTER, 1, 1);
  }

  thin(): Blob {
    return this.make({ clusterCount: 8, thin: true });
  }
}

test('with a new extent page, data and extent page are written before the root', () => {
  const yard = new OrderYard();
  const blob = yard.thin();
  yard.writeFirst(blob, 0);
  const order = yard.orderOf(
    () => yard.sync(blob),
    () => ({ root: blob.id }),
  );
  expect(order).toEqual(['page', 'barrier', 'root', 'barrier']);
  yard.finish();
});

test('with new entries in an extent page that the root names, data is written before the page, and not the root', () => {
  const yard = new OrderYard();
  const blob = yard.thin();
  yard.writeFirst(blob, 0);
  yard.sync(blob);
  yard.writeFirst(blob, 1);
  const names = () => ({ root: blob.id });
  expect(yard.orderOf(() => yard.sync(blob), names)).toEqual(['barrier', 'page', 'barrier']);
  yard.writeFirst(blob, 2);
  yard.store.setXattr(blob, 'name', Uint8Array.of(1));
  const both = ['barrier', 'page', 'barrier', 'root', 'barrier'];
  expect(yard.orderOf(() => yard.sync(blob), names)).toEqual(both);
  yard.finish();
});

test('with a changed chain alone, no barrier comes before its root, unless the root names clusters itself', () => {
  for (const useExtentTable of [true, false]) {
    const yard = new OrderYard(useExtentTable);
    const blob = yard.thin();
    yard.writeFirst(blob, 0);
    yard.sync(blob);
    yard.store.setXattr(blob, 'name', Uint8Array.of(1));
    const order = yard.orderOf(
      () => yard.sync(blob),
      () => ({ root: blob.id }),
    );
    expect(order).toEqual(useExtentTable ? ['root', 'barrier'] : ['barrier', 'root', 'barrier']);
    yard.finish();
  }
});

test('an extent page that a root names whose write failed does not count as a new one', () => {
  const yard = new OrderYard();
  const blob = yard.thin();
  yard.writeFirst(blob, 0);
  yard.device.failAt(2, { kind: 'write' }); // the first one is the extent page
  expect(() => yard.sync(blob)).toThrow(expect.objectContaining({ code: 'EIO' }));
  yard.writeFirst(blob, 1);
  const order = yard.orderOf(
    () => yard.sync(blob),
    () => ({ root: blob.id }),
  );
  expect(order).toEqual(['barrier', 'page', 'barrier', 'root', 'barrier']);
  yard.finish();
});

test('a flush of a blob adds no barrier to those of its persist', () => {
  const yard = new OrderYard();
  const blob = yard.thin();
  yard.writeFirst(blob, 0);
  const names = () => ({ root: blob.id });
  const flush = () => runSync(yard.store.flushBlob(blob));
  expect(yard.orderOf(flush, names)).toEqual(['page', 'barrier', 'root', 'barrier']);
  expect(yard.orderOf(flush, names)).toEqual(['barrier']);
  yard.finish();
});

test('creating and deleting a blob writes roots, pages and barriers in the documented order', () => {
  const yard = new OrderYard();
  let id = 0n as BlobId;
  const names = () => ({ root: id });
  const create = () => {
    id = yard.create({ clusterCount: 2, thin: true });
  };
  expect(yard.orderOf(create, names)).toEqual(['root', 'barrier']);
  expect(yard.orderOf(() => yard.delete(id), names)).toEqual(['zero root', 'barrier', 'zero root']);
  yard.finish();
});

test('a snapshot and its deletion write roots, pages and barriers in the documented order', () => {
  const yard = new OrderYard();
  const blob = yard.thin();
  yard.writeFirst(blob, 0);
  yard.sync(blob);
  let id = 0n as BlobId;
  const names = () => ({ original: blob.id, snapshot: id });
  const make = () => {
    id = runSync(yard.store.createSnapshot(blob.id));
  };
  expect(yard.orderOf(make, names)).toEqual([
    'snapshot', // empty
    'snapshot', // with the map
    'barrier',
    'original',
    'barrier',
    'snapshot', // without its mark
    'barrier',
  ]);
  yard.writeFirst(blob, 1);
  yard.sync(blob);
  expect(yard.orderOf(() => yard.delete(id), names)).toEqual([
    'snapshot', // with a mark
    'page', // a new one, with the clusters of both
    'barrier',
    'original',
    'barrier',
    'zero page', // the one that was replaced
    'zero snapshot',
    'barrier',
    'zero page',
    'zero snapshot',
  ]);
  yard.finish();
});

test('so does the deletion of a snapshot whose extent pages the clone takes over unchanged', () => {
  const yard = new OrderYard();
  const blob = yard.thin();
  yard.writeFirst(blob, 0);
  yard.sync(blob);
  const id = runSync(yard.store.createSnapshot(blob.id));
  const order = yard.orderOf(
    () => yard.delete(id),
    () => ({ original: blob.id, snapshot: id }),
  );
  expect(order).toEqual(['snapshot', 'barrier', 'original', 'barrier', 'zero snapshot', 'barrier', 'zero snapshot']);
  yard.finish();
});
