/** A blob becomes shorter between a first write and the write of the extent page for it. */

import { expect, test } from 'vitest';
import { CONFIGURATIONS, isSettled, PER_CLUSTER, Yard } from '../peer/fixture.js';

const LONG = 500;
const SHORT = 300;

test('the extent page that is written has the blob’s size at that time', async () => {
  const yard = new Yard(CONFIGURATIONS[1], { store: { durability: 'process-crash' } });
  const blob = yard.make({ clusterCount: LONG, thin: true });
  yard.resize(blob, SHORT);
  const write = (cluster: number, seed: number) =>
    yard.channel.write(blob, yard.payload(seed, PER_CLUSTER), cluster * PER_CLUSTER, PER_CLUSTER);

  await yard.later(async () => {
    const root = yard.device.gate('write', 1);
    const syncing = yard.run(yard.store.syncBlob(blob));
    await root.reached;
    const page = yard.device.gate('write', 1); // the extent page of the first write
    const first = write(10, 1);
    await page.reached;
    const second = write(20, 2);
    expect(await isSettled(second), 'it waits for the first to have written the page').toBe(false);
    root.release();
    await syncing; // now the map is shorter
    page.release();
    await first;
    await second;
  });
  yard.crash();
  const found = yard.open(blob.id);
  yard.expectContent(found, 10 * PER_CLUSTER, PER_CLUSTER, 1);
  yard.expectContent(found, 20 * PER_CLUSTER, PER_CLUSTER, 2);
  yard.finish();
});
