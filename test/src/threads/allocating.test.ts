/** Allocation of clusters by several threads at once, and together with operations that change the whole blob. */

import { expect, test } from 'vitest';
import { type Actor, CLUSTER, expectFilled, manyTurns, ThreadYard, UNIT, until, watched } from './actors.js';
import { Gate } from './gate.js';

/** A clone of a snapshot with one cluster, and threads that are held while they copy this cluster for a write. */
async function heldInCopies(count: number) {
  const yard = await ThreadYard.open();
  const blob = await yard.store.create({ sizeBytes: 4 * CLUSTER, thin: true });
  await blob.write(new Uint8Array(CLUSTER).fill(1), 0);
  await (await blob.snapshot()).close();
  const writers: { actor: Actor; gate: Gate; writing: ReturnType<typeof watched<void>>; blob: number }[] = [];
  const freeBefore = yard.freeClusters;
  let slot = 0;
  for (let at = 0; at < count; at++) {
    const gate = new Gate();
    const opened = await yard.actorIn(blob.id, { write: gate });
    gate.shut();
    slot = opened.slot;
    const writing = watched(opened.actor.do('writeSync', opened.blob, at * UNIT, UNIT, 2 + at));
    await gate.held();
    writers.push({ actor: opened.actor, gate, writing, blob: opened.blob });
  }
  expect(freeBefore - yard.freeClusters).toBe(count); // each has claimed a cluster of its own
  return { yard, blob, slot, writers, freeBefore };
}

test.each([
  { order: 'the first first', first: 0, second: 1 },
  { order: 'the second first', first: 1, second: 0 },
])('of two threads that allocate one cluster, $order, one frees its claim', async ({ first, second }) => {
  const { yard, blob, writers, freeBefore } = await heldInCopies(2);
  writers[first].gate.open();
  await writers[first].writing.promise;
  expect(writers[second].writing.isSettled).toBe(false);
  writers[second].gate.open();
  await writers[second].writing.promise;
  expect(freeBefore - yard.freeClusters).toBe(1);
  expectFilled(await blob.read(0, UNIT), 2);
  expectFilled(await blob.read(UNIT, UNIT), 3);
  expectFilled(await blob.read(2 * UNIT, 2 * UNIT), 1);
  await yard.expectSound();
  const thick = await yard.store.create({ sizeBytes: yard.freeClusters * CLUSTER });
  expectFilled(await thick.read(0, thick.sizeBytes), 0); // the claim that was freed reads as zeroes again
  await yard.store.close();
});

test('while a thread writes to a cluster that is inserted already, others can use it, and a snapshot waits', async () => {
  const yard = await ThreadYard.open();
  const blob = await yard.store.create({ sizeBytes: 4 * CLUSTER, thin: true });
  const gate = new Gate();
  const held = await yard.actorIn(blob.id, { write: gate });
  const other = await yard.actorIn(blob.id);
  gate.shut();
  const writing = watched(held.actor.do('writeSync', held.blob, 0, UNIT, 2));
  await gate.held();
  await until(() => blob.nextData(0) === 0); // the cluster is inserted, and its data not written yet
  await other.actor.do('writeSync', other.blob, UNIT, UNIT, 3);
  expect((await blob.info()).allocatedBytes).toBe(CLUSTER);
  const snapping = watched(blob.snapshot());
  await yard.frozen(held.slot);
  await manyTurns();
  expect([writing.isSettled, snapping.isSettled]).toEqual([false, false]);
  gate.open();
  await writing.promise;
  const snapshot = await snapping.promise;
  expectFilled(await snapshot.read(0, UNIT), 2);
  expectFilled(await snapshot.read(UNIT, UNIT), 3);
  await yard.expectSound();
  await yard.store.close();
});

test('a thread whose insertion comes second clears its cluster, and writes its data to the first one', async () => {
  const yard = await ThreadYard.open();
  const blob = await yard.store.create({ sizeBytes: 4 * CLUSTER, thin: true });
  const freeBefore = yard.freeClusters;
  const writers = [await yard.actorIn(blob.id), await yard.actorIn(blob.id)];
  const writing = Promise.all(
    writers.map(({ actor, blob: its }, at) => actor.do('writeSync', its, at * UNIT, UNIT, 2 + at)),
  );
  while (freeBefore - yard.freeClusters < 2); // blocks this thread, which serves both, until both have claimed a cluster
  await writing;
  expect(freeBefore - yard.freeClusters).toBe(1);
  expectFilled(await blob.read(0, UNIT), 2);
  expectFilled(await blob.read(UNIT, UNIT), 3);
  await yard.expectSound();
  const thick = await yard.store.create({ sizeBytes: yard.freeClusters * CLUSTER });
  expectFilled(await thick.read(0, thick.sizeBytes), 0);
  await yard.store.close();
});

test('an allocation that is under way ends before a snapshot, which has its data', async () => {
  const { yard, blob, slot, writers } = await heldInCopies(1);
  const [{ gate, writing, actor, blob: its }] = writers;
  const snapping = watched(blob.snapshot());
  await yard.frozen(slot);
  await manyTurns();
  expect(snapping.isSettled).toBe(false);
  gate.open(); // the thread asks the metadata thread to insert the cluster while the blob is being frozen
  await writing.promise;
  const snapshot = await snapping.promise;
  expectFilled(await snapshot.read(0, UNIT), 2);
  expectFilled(await snapshot.read(UNIT, 3 * UNIT), 1);
  await actor.do('writeSync', its, 0, UNIT, 9);
  expectFilled(await snapshot.read(0, UNIT), 2);
  expectFilled(await blob.read(0, UNIT), 9);
  await snapshot.close();
  await yard.expectSound();
  await yard.store.close();
});

test('an allocation that copies from a snapshot ends before the snapshot is deleted', async () => {
  const { yard, blob, slot, writers } = await heldInCopies(1);
  const deleting = watched(yard.store.delete(blob.parent as bigint));
  await yard.frozen(slot);
  await manyTurns();
  expect(deleting.isSettled).toBe(false);
  writers[0].gate.open();
  await writers[0].writing.promise;
  await deleting.promise;
  expectFilled(await blob.read(0, UNIT), 2);
  expectFilled(await blob.read(UNIT, 3 * UNIT), 1);
  await yard.expectSound();
  await yard.store.close();
});

test('unmapping a cluster waits for a write to it on another thread, and a later write gets another cluster', async () => {
  const yard = await ThreadYard.open();
  const blob = await yard.store.create({ sizeBytes: 4 * CLUSTER, thin: true });
  await blob.write(new Uint8Array(CLUSTER).fill(1), 0);
  const write = new Gate();
  const writer = await yard.actorIn(blob.id, { write });
  const unmapper = await yard.actorIn(blob.id);
  write.shut();
  const writing = writer.actor.do('writeSync', writer.blob, 0, UNIT, 2);
  await write.held();
  const trimming = watched(unmapper.actor.do('trimSync', unmapper.blob, 0, CLUSTER));
  await yard.frozen(writer.slot);
  await manyTurns();
  expect(trimming.isSettled).toBe(false);
  write.open();
  await writing;
  await trimming.promise;
  expectFilled(await blob.read(0, CLUSTER), 0);
  expect((await blob.info()).allocatedBytes).toBe(0);
  await writer.actor.do('writeSync', writer.blob, 0, UNIT, 3);
  expectFilled(await unmapper.actor.do('readSync', unmapper.blob, 0, UNIT), 3);
  expectFilled(await unmapper.actor.do('readSync', unmapper.blob, UNIT, 3 * UNIT), 0);
  await yard.expectSound();
  await yard.store.close();
});

test('two threads that unmap the same cluster release it once', async () => {
  const unmap = new Gate();
  const yard = await ThreadYard.open({}, { unmap });
  const blob = await yard.store.create({ sizeBytes: 4 * CLUSTER, thin: true });
  await blob.write(new Uint8Array(CLUSTER).fill(1), 0);
  await blob.sync();
  const freeBefore = yard.freeClusters;
  const first = await yard.actorIn(blob.id);
  const second = await yard.actorIn(blob.id);
  unmap.shut();
  const trims = [first.actor.do('trimSync', first.blob, 0, CLUSTER)];
  await unmap.held();
  trims.push(second.actor.do('trim', second.blob, 0, CLUSTER));
  await manyTurns();
  unmap.open();
  await Promise.all(trims);
  await blob.sync();
  expect(yard.freeClusters - freeBefore).toBe(1);
  expectFilled(await blob.read(0, CLUSTER), 0);
  await yard.expectSound();
  await yard.store.close();
});

test('in a full store, a thread gets the freed clusters that only wait for a sync', async () => {
  const yard = await ThreadYard.open();
  const clusters = yard.freeClusters;
  const blob = await yard.store.create({ sizeBytes: (clusters + 1) * CLUSTER, thin: true });
  const { actor, blob: its } = await yard.actorIn(blob.id);
  for (let at = 0; at < clusters; at++) await actor.do('writeSync', its, at * CLUSTER, UNIT, 1);
  await expect(actor.do('writeSync', its, clusters * CLUSTER, UNIT, 1)).rejects.toMatchObject({ code: 'ENOSPC' });
  await actor.do('trimSync', its, 0, CLUSTER);
  await actor.do('write', its, clusters * CLUSTER, UNIT, 2);
  expectFilled(await blob.read(clusters * CLUSTER, UNIT), 2);
  await yard.expectSound();
  await yard.store.close();
});
