/**
 * With `process-crash`, a first write writes the extent page of a blob that was made shorter in memory only: the root
 * on disk still has the old size.
 */

import { Blobstore, runSync } from '@blobyard/core';
import { expect, test } from 'vitest';
import { CONFIGURATIONS, PER_CLUSTER, Yard } from '../peer/fixture.js';

test('a crash undoes a resize that was not synced, and no data is lost', () => {
  const durability = 'process-crash';
  const yard = new Yard(CONFIGURATIONS[1], { store: { durability } });
  const blob = yard.make({ clusterCount: 5, thin: true });
  yard.write(blob, 3 * PER_CLUSTER, 2 * PER_CLUSTER, 7);
  yard.sync(blob);
  yard.resize(blob, 2);
  yard.write(blob, 0, 1, 8); // writes the extent page to the disk
  yard.abandon();
  yard.load({ durability, onDamage: 'refuse' });
  const again = yard.open(blob.id);
  expect(again.clusterCount).toBe(5);
  yard.expectContent(again, 3 * PER_CLUSTER, 2 * PER_CLUSTER, 7);
  yard.expectContent(again, 0, 1, 8);
  expect(runSync(Blobstore.load(yard.device, { durability })).damaged).toEqual([]);
});
