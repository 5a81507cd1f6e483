/**
 * A blob is made shorter while a sync writes its root with the old size. The clusters that are cut off must stay the
 * blob's until the next sync, since a crash brings the old size back.
 */

import { Blobstore, type Durability, run } from '@blobyard/core';
import { asyncDevice, SparseMemoryDevice } from '@blobyard/io';
import { describe, expect, test } from 'vitest';

const CLUSTER_BYTES = 8192;
const UNITS = 16;
const CLUSTERS = 8;
const LEFT = 2;

const cases = (['power-loss', 'process-crash'] as const).flatMap((durability) =>
  [true, false].map((useExtentTable): [Durability, boolean] => [durability, useExtentTable]),
);

describe.each(cases)('%s, extent table %s: no cluster gets two owners', (durability, useExtentTable) => {
  test.each(Array.from({ length: 16 }, (_, delay) => delay))('%i turns after the sync began', async (delay) => {
    const medium = new SparseMemoryDevice({ sizeBytes: 64 * CLUSTER_BYTES, blockLengthBytes: 512 });
    const device = asyncDevice(medium);
    const options = { clusterBytes: CLUSTER_BYTES, durability };
    const store = await run(Blobstore.init(device, options));
    const channel = store.openChannel();
    const id = await run(store.createBlob({ clusterCount: CLUSTERS, thin: true, useExtentTable }));
    const blob = await run(store.openBlob(id));
    await channel.write(blob, new Uint8Array(CLUSTERS * CLUSTER_BYTES).fill(1), 0, CLUSTERS * UNITS);
    store.setXattr(blob, 'x', Uint8Array.of(1));
    const sync = run(store.syncBlob(blob));
    for (let turn = 0; turn < delay; turn++) await new Promise((resolve) => setImmediate(resolve));
    await run(store.resizeBlob(blob, LEFT));
    await sync;
    const other = await run(store.openBlob(await run(store.createBlob({ clusterCount: CLUSTERS, thin: true }))));
    await channel.write(other, new Uint8Array(CLUSTERS * CLUSTER_BYTES).fill(2), 0, CLUSTERS * UNITS);
    await run(store.syncBlob(other));
    store.verify();
    await run(store.abandon());

    const again = await run(Blobstore.load(device, options));
    await run(again.audit());
    const found = await run(again.openBlob(id));
    const bytes = new Uint8Array(found.clusterCount * CLUSTER_BYTES);
    await again.openChannel().read(found, bytes, 0, found.clusterCount * UNITS);
    expect([LEFT, CLUSTERS]).toContain(found.clusterCount);
    expect(bytes.every((byte) => byte === 1)).toBe(true);
  });
});
