/**
 * A snapshot is deleted while its only clone, which has become shorter, is being synced; or a crash interrupts that.
 */

import { type BlobId, pageOfBlobId } from '@blobyard/core';
import { expect, test } from 'vitest';
import { CONFIGURATIONS, isSettled, PER_CLUSTER, Yard } from '../peer/fixture.js';

const LONG = 8;
const SHORT = 6;

/** Cuts the power at the k-th change after the write of the clone's shorter root. Returns false if there were fewer. */
async function cutAt(k: number): Promise<boolean> {
  const yard = new Yard(CONFIGURATIONS[1]);
  const clone = yard.make({ clusterCount: LONG });
  yard.write(clone, 0, LONG * PER_CLUSTER, 1);
  const snapshotId = yard.snapshot(clone);
  yard.resize(clone, SHORT);

  const wasCut = await yard.later(async () => {
    const root = yard.device.gate('write', 1); // the first write is the root: the clone has no extent page
    const syncing = yard.run(yard.store.syncBlob(clone));
    await root.reached;
    const deleting = yard.run(yard.store.deleteBlob(snapshotId));
    expect(await isSettled(deleting), 'the clone takes over, and waits for its turn to be persisted').toBe(false);
    yard.device.cutPowerAt(k);
    root.release();
    const endings = await Promise.allSettled([syncing, deleting]);
    return endings.some(({ status }) => status === 'rejected');
  });
  yard.device.clearFaults();
  if (wasCut) {
    yard.device.restorePower();
    yard.crash({ onDamage: 'refuse' });
  }
  const found = wasCut ? yard.open(clone.id) : clone;
  expect(found.clusterCount).toBe(SHORT);
  yard.expectContent(found, 0, SHORT * PER_CLUSTER, 1);
  if (yard.store.blobIds().includes(snapshotId)) {
    yard.expectContent(yard.open(snapshotId), 0, LONG * PER_CLUSTER, 1);
  }
  yard.finish();
  return wasCut;
}

test('the extent page that the clone takes over is shortened only after its root names it', async () => {
  let k = 1;
  while (await cutAt(k)) k++;
  expect(k).toBeGreaterThan(3);
});

/**
 * Deletes a snapshot. Returns its root as it is on disk, marked for deletion, until the clone has taken over its map.
 */
function deleteSnapshot(yard: Yard, id: BlobId): Promise<Uint8Array> {
  return yard.later(async () => {
    const takingOver = yard.device.gate('write', 2); // the first write marks the snapshot
    const deleting = yard.run(yard.store.deleteBlob(id));
    await takingOver.reached;
    const root = yard.peek(yard.mdPageOffset(pageOfBlobId(id)), 4096);
    expect(Buffer.from(root).includes('SNAPRM')).toBe(true);
    takingOver.release();
    await deleting;
    return root;
  });
}

test.each([
  { highWater: true, onDamage: 'refuse' },
  { highWater: true, onDamage: 'set-aside' },
  { highWater: true },
  { highWater: false },
] as const)(
  'recovery deletes a marked snapshot, but not the extent page that its clone has taken over and shortened: %o',
  async (options) => {
    const yard = new Yard(CONFIGURATIONS[1], { store: { durability: 'process-crash', highWater: false } });
    const clone = yard.make({ clusterCount: LONG, thin: true });
    yard.write(clone, 0, LONG * PER_CLUSTER, 1);
    const snapshotId = yard.snapshot(clone);
    yard.resize(clone, SHORT);
    yard.sync(clone);
    const root = await deleteSnapshot(yard, snapshotId);
    yard.sync(clone);
    yard.poke(yard.mdPageOffset(pageOfBlobId(snapshotId)), (page) => page.set(root));

    yard.crash(options);
    expect(yard.store.damaged).toEqual([]);
    expect(yard.store.blobIds()).toEqual([clone.id]);
    yard.expectContent(yard.open(clone.id), 0, SHORT * PER_CLUSTER, 1);
    yard.reload(options);
    yard.expectContent(yard.open(clone.id), 0, SHORT * PER_CLUSTER, 1);
    yard.finish();
  },
);
