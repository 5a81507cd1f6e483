/** A synchronous call on the metadata thread that would have to wait for another thread's operation in the blob. */

import { Blobstore, BlobstoreError, runSync } from '@blobyard/core';
import { SparseMemoryDevice } from '@blobyard/io';
import { expect, test } from 'vitest';

const CLUSTER_BYTES = 8192;
const UNITS = 16;

test('the call fails with EBUSY, and works when the other thread has left the blob', () => {
  const device = new SparseMemoryDevice({ sizeBytes: 64 * CLUSTER_BYTES, blockLengthBytes: 512 });
  const store = runSync(Blobstore.init(device, { clusterBytes: CLUSTER_BYTES }));
  const blob = runSync(store.openBlob(runSync(store.createBlob({ clusterCount: 2, thin: true }))));
  const channel = store.openChannel();
  channel.writeSync(blob, new Uint8Array(CLUSTER_BYTES).fill(7), 0, UNITS);
  const free = store.freeClusterCount;
  const { channels } = store.shared;
  const row = channels.claim(1);
  channels.counters(row).enter(blob.slot);
  const release = () => channel.unmapSync(blob, 0, UNITS);
  expect(release).toThrow(BlobstoreError);
  expect(release).toThrow(expect.objectContaining({ code: 'EBUSY' }));
  expect(() => runSync(store.createSnapshot(blob.id))).toThrow(expect.objectContaining({ code: 'EBUSY' }));
  expect(channels.hasDrainWaiters).toBe(false);
  channels.counters(row).leave(blob.slot);
  release();
  runSync(store.syncBlob(blob));
  expect(store.freeClusterCount).toBe(free + 1);
});
