/** An extent page on disk that names clusters past the blob's end, because a crash has undone a larger size. */

import { BlobstoreError, runSync } from '@blobyard/core';
import { expect, test } from 'vitest';
import { requireSound } from '../check/require-sound.js';
import { CONFIGURATIONS, PER_CLUSTER, Yard } from '../peer/fixture.js';

test.each([1, 2, 3, 4])(
  'after a power cut at change %i of a longer blob’s sync, stale entries are not used when the blob grows again',
  (k) => {
    const yard = new Yard(CONFIGURATIONS[1]);
    const blob = yard.make({ clusterCount: 4, thin: true });
    yard.write(blob, 0, 1, 1);
    yard.sync(blob);
    yard.resize(blob, 8);
    yard.write(blob, 6 * PER_CLUSTER, 1, 2);
    yard.device.cutPowerAt(k);
    expect(() => yard.sync(blob)).toThrow(BlobstoreError);
    yard.device.restorePower();
    yard.crash({ onDamage: 'refuse' });

    const again = yard.open(blob.id);
    const wasLong = again.clusterCount === 8;
    if (!wasLong) yard.resize(again, 8);
    const snapshot = yard.snapshot(again);
    const other = yard.make({ clusterCount: yard.store.freeClusterCount });
    yard.write(other, 0, 1, 3);
    yard.closeAll();
    yard.unload();
    runSync(requireSound(yard.device, 'after unloading'));
    yard.load({ onDamage: 'refuse' });
    yard.expectContent(yard.open(snapshot), 6 * PER_CLUSTER, 1, wasLong ? 2 : 0);
    yard.finish();
  },
);
