/** Several operations change the super block at once: none may overwrite the change of another one. */

import { Blobstore, run, type Blobstore as Store } from '@blobyard/core';
import { asyncDevice, SparseMemoryDevice } from '@blobyard/io';
import { describe, expect, test } from 'vitest';

const CLUSTER_BYTES = 8192;
const TURNS = Array.from({ length: 8 }, (_, delay) => delay);

/** A store that was cleanly unloaded, and is open again. */
async function openClean() {
  const medium = new SparseMemoryDevice({ sizeBytes: 64 * CLUSTER_BYTES });
  const device = asyncDevice(medium);
  const made = await run(Blobstore.init(device, { clusterBytes: CLUSTER_BYTES }));
  await run(made.unload());
  return { medium, device, store: await load(device) };
}

function load(device: ReturnType<typeof asyncDevice>): Promise<Store> {
  return run(Blobstore.load(device, { clusterBytes: CLUSTER_BYTES }));
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

describe.each(TURNS)('%i turns after another change began', (delay) => {
  test('setting the super blob does not mark the store as clean', async () => {
    const { device, store } = await openClean();
    const creation = run(store.createBlob({ clusterCount: 3 }));
    await turns(delay);
    await run(store.setSuper(7n));
    const id = await creation;
    await run(store.abandon());
    const again = await load(device);
    expect(again.blobIds()).toEqual([id]);
    expect(again.getSuper()).toBe(7n);
    await run(again.audit());
  });

  test('marking the store as dirty does not undo its growth', async () => {
    const { device, medium, store } = await openClean();
    medium.resize((80 * CLUSTER_BYTES) / medium.blockLengthBytes);
    const growth = run(store.growLive());
    await turns(delay);
    await run(store.createBlob({ clusterCount: 3 }));
    await growth;
    const { dataClusterCount } = store;
    await run(store.abandon());
    expect((await load(device)).dataClusterCount).toBe(dataClusterCount);
  });
});
