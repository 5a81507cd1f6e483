/** Insertions into a cluster map that arrive together are executed as a group. */

import {
  type BlobCluster,
  Blobstore,
  type ClaimedCluster,
  type DeviceCluster,
  type MdPage,
  runSync,
} from '@blobyard/core';
import { SparseMemoryDevice } from '@blobyard/io';
import { expect, test } from 'vitest';
import { RecordingDevice } from '../peer/recording-device.js';

const CLUSTER_BYTES = 4096;
/** The number of clusters that an extent page maps. */
const MAPPED = 512;

/** Allocates clusters as channels do, which own them until they are inserted. */
function claim(store: Blobstore, count: number, needsPage: (index: number) => boolean): ClaimedCluster[] {
  const { shared } = store;
  return shared.locked(() =>
    Array.from({ length: count }, (_, index) => {
      const extentPage = needsPage(index) ? shared.pages.findFree(1) : 0;
      if (extentPage !== 0) shared.pages.claim(extentPage as MdPage);
      return { cluster: shared.clusters.allocate() as DeviceCluster, extentPage: extentPage as MdPage };
    }),
  );
}

test('insertions at once write each extent page once, and the chain once for all new extent pages', () => {
  const device = new RecordingDevice(new SparseMemoryDevice({ sizeBytes: 16 << 20, blockLengthBytes: 512 }));
  const store = runSync(
    Blobstore.init(device, { clusterBytes: CLUSTER_BYTES, mdPageCount: 64, durability: 'process-crash' }),
  );
  const blob = runSync(store.openBlob(runSync(store.createBlob({ clusterCount: 3 * MAPPED, thin: true }))));
  const insert = (indices: number[], needsPage: (index: number) => boolean) => {
    const claims = claim(store, indices.length, needsPage);
    const wanted = indices.map((index, at) => ({ index: index as BlobCluster, claimed: claims[at] }));
    device.take();
    return runSync(store.metadata.insertClusters(blob.slot, wanted));
  };
  const first = Array.from({ length: 30 }, (_, index) => index);
  expect(insert(first, (index) => index === 0)).toEqual(first.map(() => 'inserted'));
  expect(device.take().filter(({ kind }) => kind === 'write').length).toBeLessThanOrEqual(4); // page, root, super block
  const second = Array.from({ length: 40 }, (_, index) => 100 + index);
  expect(insert(second, () => false)).toEqual(second.map(() => 'inserted'));
  expect(device.take().filter(({ kind }) => kind === 'write')).toHaveLength(1);
  // Two extent pages, both new. One place is inserted twice: the second insertion finds that it exists.
  const mixed = [MAPPED, 2 * MAPPED, MAPPED + 1, MAPPED, 2 * MAPPED + 5];
  expect(insert(mixed, (index) => index < 2)).toEqual(['inserted', 'inserted', 'inserted', 'exists', 'inserted']);
  store.verify();
  const again = runSync(Blobstore.load(device));
  const loaded = runSync(again.openBlob(blob.id));
  for (const index of [...first, ...second, ...mixed]) expect(loaded.clusterAt(index)).toBe(blob.clusterAt(index));
});
