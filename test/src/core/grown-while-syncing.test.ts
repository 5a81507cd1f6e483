/** A blob becomes longer while its metadata is written: after a crash at that time the metadata must be consistent. */

import { Blobstore, runSync } from '@blobyard/core';
import { expect, test } from 'vitest';
import { requireSound } from '../check/require-sound.js';
import { CONFIGURATIONS, Yard } from '../peer/fixture.js';

test.each(['process-crash', 'power-loss'] as const)(
  '%s: the root on disk has no more clusters than its extent pages map',
  async (durability) => {
    const yard = new Yard(CONFIGURATIONS[1], { store: { durability } });
    const blob = yard.make({ clusterCount: 4 });
    yard.resize(blob, 6);
    await yard.later(async () => {
      const extentPage = yard.device.gate('write', 1);
      const syncing = yard.run(yard.store.syncBlob(blob));
      await extentPage.reached;
      const resizing = yard.run(yard.store.resizeBlob(blob, 8));
      extentPage.release();
      await Promise.all([syncing, resizing]);
    });
    yard.abandon();
    runSync(requireSound(yard.device, 'after a crash'));
    const store = runSync(Blobstore.load(yard.device, { durability, onDamage: 'refuse' }));
    const { clusterCount } = runSync(store.openBlob(store.blobIds()[0]));
    expect([6, 8]).toContain(clusterCount);
  },
);
