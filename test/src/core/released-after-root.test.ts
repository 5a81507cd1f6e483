/** A cluster that a blob frees is allocated again only when no map on disk names it any more. */

import { expect, test } from 'vitest';
import { CONFIGURATIONS, isSettled, PER_CLUSTER, Yard } from '../peer/fixture.js';

test('a freed cluster is not allocated while the extent page that names it is being replaced', async () => {
  const yard = new Yard(CONFIGURATIONS[1]);
  const giver = yard.make({ clusterCount: 2, thin: true });
  yard.write(giver, 0, 2 * PER_CLUSTER, 1);
  yard.sync(giver);
  const taker = yard.make({ clusterCount: 1, thin: true });
  const rest = yard.make({ clusterCount: yard.store.freeClusterCount });
  yard.channel.unmapSync(giver, 0, PER_CLUSTER); // the only cluster that can become free

  await yard.later(async () => {
    const extentPage = yard.device.gate('write', 1); // the first write is the extent page: the root does not change
    const syncing = yard.run(yard.store.syncBlob(giver));
    await extentPage.reached;
    const writing = yard.channel.write(taker, yard.payload(2, PER_CLUSTER), 0, PER_CLUSTER);
    expect(await isSettled(writing), 'the cluster is taken before the map on disk has changed').toBe(false);
    extentPage.release();
    await syncing;
    await writing;
  });
  yard.expectContent(taker, 0, PER_CLUSTER, 2);
  yard.close(rest);
  yard.finish();
});
