/** Threads that are killed while they hold the used lock, at each step of the critical sections. */

import { expect, test } from 'vitest';
import { CLUSTER, expectCode, expectFilled, ThreadYard, UNIT, watched } from './actors.js';
import { Gate } from './gate.js';
import { CLAIM_STEPS, UNCLAIM_STEPS } from './stop-steps.js';

/** A yard whose blob is thin, and the number of clusters free in it. */
async function thinYard() {
  const yard = await ThreadYard.open();
  const blob = await yard.store.create({ sizeBytes: 64 * CLUSTER, thin: true });
  return { yard, blob, freeBefore: yard.freeClusters };
}

test.each(CLAIM_STEPS)('a thread killed in a claim, after "%s", leaks nothing', async (step) => {
  const { yard, blob, freeBefore } = await thinYard();
  const victim = await yard.actorIn(blob.id);
  const other = await yard.actorIn(blob.id);
  const stop = new Gate();
  stop.shut();
  await victim.actor.do('stopAt', step, stop.buffer);
  void victim.actor.do('writeSync', victim.blob, 0, UNIT, 1).catch(() => undefined);
  await stop.held();
  const waiting = watched(other.actor.do('writeSync', other.blob, CLUSTER, UNIT, 2)); // waits for the lock
  await victim.actor.kill();
  await waiting.promise;
  await yard.rowFree(victim.actor.row);
  expect(freeBefore - yard.freeClusters).toBe(1);
  expectFilled(await blob.read(0, CLUSTER), 0);
  expectFilled(await blob.read(CLUSTER, UNIT), 2);
  await yard.expectSound();
  const again = await yard.actorIn(blob.id);
  expect(again.actor.row).toBe(victim.actor.row);
  await again.actor.do('writeSync', again.blob, 2 * CLUSTER, UNIT, 3);
  await yard.expectSound();
  await yard.store.close();
});

test.each(UNCLAIM_STEPS)('a thread killed in an unclaim, after "%s", leaks nothing', async (step) => {
  const { yard, blob } = await thinYard();
  await blob.write(new Uint8Array(CLUSTER).fill(1), 0);
  await (await blob.snapshot()).close();
  const freeBefore = yard.freeClusters;
  const read = new Gate();
  const victim = await yard.actorIn(blob.id, { read });
  const other = await yard.actorIn(blob.id);
  const stop = new Gate();
  stop.shut();
  await victim.actor.do('stopAt', step, stop.buffer);
  read.fail(); // the cluster that is copied cannot be read, so the thread unclaims the new cluster
  void victim.actor.do('writeSync', victim.blob, 0, UNIT, 2).catch(() => undefined);
  await stop.held();
  const waiting = watched(other.actor.do('writeSync', other.blob, CLUSTER, UNIT, 3));
  await victim.actor.kill();
  await waiting.promise;
  await yard.rowFree(victim.actor.row);
  expect(freeBefore - yard.freeClusters).toBe(1);
  await yard.expectSound();
  await yard.store.close();
});

test.each([...CLAIM_STEPS, ...UNCLAIM_STEPS])(
  'another thread can get a cluster of a thread killed after "%s" before its end is noticed',
  async (step) => {
    const { yard, blob } = await thinYard();
    await blob.write(new Uint8Array(CLUSTER).fill(1), 0);
    await (await blob.snapshot()).close();
    const read = new Gate();
    const unmap = new Gate();
    const victim = await yard.actorIn(blob.id, { read });
    const other = await yard.actorIn(blob.id, { write: unmap });
    const stop = new Gate();
    stop.shut();
    await victim.actor.do('stopAt', step, stop.buffer);
    read.fail();
    void victim.actor.do('writeSync', victim.blob, 0, UNIT, 2).catch(() => undefined);
    await stop.held();
    // These writes get the lock as soon as it is taken from the dead thread, before the claims of that are freed.
    const writes = [2, 3, 4].map((at) => other.actor.do('write', other.blob, at * CLUSTER, UNIT, at));
    await victim.actor.kill();
    await Promise.all(writes);
    await yard.rowFree(victim.actor.row);
    for (const at of [2, 3, 4]) expectFilled(await blob.read(at * CLUSTER, UNIT), at);
    await yard.expectSound();
    await yard.store.close();
  },
);

test('the metadata thread frees the lock of a dead thread for which it waits itself', async () => {
  const { yard, blob, freeBefore } = await thinYard();
  const victim = await yard.actorIn(blob.id);
  const stop = new Gate();
  stop.shut();
  await victim.actor.do('stopAt', 'cluster taken', stop.buffer);
  void victim.actor.do('writeSync', victim.blob, 0, UNIT, 1).catch(() => undefined);
  await stop.held();
  await victim.actor.kill();
  await blob.write(new Uint8Array(UNIT).fill(5), CLUSTER); // waits for the lock before the event loop can turn
  await yard.rowFree(victim.actor.row);
  expect(freeBefore - yard.freeClusters).toBe(1);
  expectFilled(await blob.read(CLUSTER, UNIT), 5);
  await yard.expectSound();
  await yard.store.close();
});

test('a thread that fails to claim leaves the lock free', async () => {
  const { yard, blob } = await thinYard();
  const hog = await yard.store.create({ sizeBytes: yard.freeClusters * CLUSTER });
  const { actor, blob: its } = await yard.actorIn(blob.id);
  await expectCode(actor.do('writeSync', its, 0, UNIT, 1), 'ENOSPC');
  await hog.resize(0);
  await actor.do('writeSync', its, 0, UNIT, 1);
  await yard.expectSound();
  await yard.store.close();
});
