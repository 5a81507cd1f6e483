/** Flushes of several threads share flushes of the device, on the metadata thread. */

import { expect, test } from 'vitest';
import type { Order } from './actor.js';
import { CLUSTER, ThreadYard } from './actors.js';
import { Gate } from './gate.js';

const FLUSHES = 16;
const COUNTED = 1000;

test('threads that flush their blobs at once share flushes of the device, in both forms', async () => {
  const gate = new Gate();
  const yard = await ThreadYard.open({}, { flush: gate });
  const blobs = [];
  for (let made = 0; made < 4; made++) blobs.push(await yard.store.create({ sizeBytes: 4 * CLUSTER }));
  const [own, ...theirs] = blobs;
  const actors = await Promise.all(theirs.map(({ id }) => yard.actorIn(id)));
  gate.shut();
  const first = own.flush();
  await gate.held();
  gate.shut(1, COUNTED); // lets `COUNTED` flushes pass, and counts them
  const working = actors.map(async ({ actor, blob }) => {
    const flushes = Array.from({ length: FLUSHES }, (): Order => ['flush', blob]);
    const outcomes = await actor.together(['write', blob, 0, CLUSTER, 1], ...flushes);
    for (const outcome of outcomes) expect(outcome).not.toHaveProperty('code');
    await actor.do('flushSync', blob);
  });
  gate.letGo();
  await Promise.all([first, ...working]);
  const flushes = COUNTED - gate.toSkip;
  // How many flushes are shared depends on how busy the machine is. At least those of the same thread are.
  expect(flushes).toBeGreaterThan(0);
  expect(flushes).toBeLessThanOrEqual((actors.length * (FLUSHES + 1)) / 2);
});
