/** A flush of the store visits blob after blob. A blob may be closed or deleted before the flush visits it. */

import { type Blob, type BlobId, Blobstore, run } from '@blobyard/core';
import { asyncDevice, SparseMemoryDevice } from '@blobyard/io';
import { expect, test } from 'vitest';

const CLUSTER_BYTES = 8192;
const UNITS = 16;

test.each(Array.from({ length: 24 }, (_, delay) => delay))(
  'the flush and deletions that begin %i turns later both succeed',
  async (delay) => {
    const medium = new SparseMemoryDevice({ sizeBytes: 64 * CLUSTER_BYTES, blockLengthBytes: 512 });
    const device = asyncDevice(medium);
    const store = await run(Blobstore.init(device, { clusterBytes: CLUSTER_BYTES }));
    const channel = store.openChannel();
    const ids: BlobId[] = [];
    const blobs: Blob[] = [];
    for (let count = 0; count < 4; count++) {
      const id = await run(store.createBlob({ clusterCount: 3, thin: true }));
      const blob = await run(store.openBlob(id));
      await channel.write(blob, new Uint8Array(2 * CLUSTER_BYTES).fill(1), 0, 2 * UNITS);
      ids.push(id);
      blobs.push(blob);
    }
    const flush = run(store.flush());
    for (let turn = 0; turn < delay; turn++) await new Promise((resolve) => setImmediate(resolve));
    const deletions = [3, 2, 1].map(async (at) => {
      await run(store.closeBlob(blobs[at]));
      await run(store.deleteBlob(ids[at]));
    });
    await Promise.all([flush, ...deletions]);
    expect(store.blobIds()).toEqual([ids[0]]);
    store.verify();
    await run(store.audit());
    await run(store.abandon());
    const again = await run(Blobstore.load(device, { clusterBytes: CLUSTER_BYTES }));
    expect(again.blobIds()).toEqual([ids[0]]);
    await run(again.audit());
  },
);
