/** With `process-crash` an insertion writes an extent page of a blob that was cut in memory, and the root on disk counts more. */

import { Blobstore, runSync } from '@blobyard/core';
import { expect, test } from 'vitest';
import { CONFIGURATIONS, PER_CLUSTER, Yard } from '../peer/fixture.js';

test('a resize that was not synced is forgotten by a crash, and nothing is lost with it', () => {
  const durability = 'process-crash';
  const yard = new Yard(CONFIGURATIONS[1], { store: { durability } });
  const blob = yard.make({ clusterCount: 5, thin: true });
  yard.write(blob, 3 * PER_CLUSTER, 2 * PER_CLUSTER, 7);
  yard.sync(blob);
  yard.resize(blob, 2);
  yard.write(blob, 0, 1, 8); // its extent page goes out
  yard.abandon();
  yard.load({ durability, onDamage: 'refuse' });
  const again = yard.open(blob.id);
  expect(again.clusterCount).toBe(5);
  yard.expectContent(again, 3 * PER_CLUSTER, 2 * PER_CLUSTER, 7);
  yard.expectContent(again, 0, 1, 8);
  expect(runSync(Blobstore.load(yard.device, { durability })).damaged).toEqual([]);
});
