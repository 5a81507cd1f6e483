/** A cluster that a blob has given back is handed out only once no map on disk names it any more. */

import { expect, test } from 'vitest';
import { CONFIGURATIONS, isSettled, PER_CLUSTER, Yard } from '../peer/fixture.js';

test('not while the extent page that still names it is being replaced', async () => {
  const yard = new Yard(CONFIGURATIONS[1]);
  const giver = yard.make({ clusterCount: 2, thin: true });
  yard.write(giver, 0, 2 * PER_CLUSTER, 1);
  yard.sync(giver);
  const taker = yard.make({ clusterCount: 1, thin: true });
  const rest = yard.make({ clusterCount: yard.store.freeClusterCount });
  yard.channel.unmapSync(giver, 0, PER_CLUSTER); // the only cluster that can come to be free

  await yard.later(async () => {
    const extentPage = yard.device.gate('write', 1); // the root stays as it is
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
