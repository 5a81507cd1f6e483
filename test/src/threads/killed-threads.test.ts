/** Threads that are terminated at any point: all that they had is freed, and the store goes on. */

import { expect, test } from 'vitest';
import { type Actor, CLUSTER, codesOf, expectFilled, manyTurns, ThreadYard, UNIT, watched } from './actors.js';
import { Gate } from './gate.js';

function ignore(): undefined {
  return undefined;
}

/** Kills a thread, and waits until its end is noticed: when the end of `later`, with a higher row, is noticed, too. */
async function killAndNotice(yard: ThreadYard, actor: Actor, later: Actor): Promise<void> {
  expect(later.row).toBeGreaterThan(actor.row);
  await actor.kill();
  await later.kill();
  await yard.rowFree(later.row);
  await manyTurns();
}

/** A blob of four clusters, thick or thin, and a thread that is held in a write to its first cluster. */
async function heldInWrite(thin: boolean) {
  const yard = await ThreadYard.open();
  const blob = await yard.store.create({ sizeBytes: 4 * CLUSTER, thin });
  await blob.write(new Uint8Array(CLUSTER).fill(1), 0);
  const write = new Gate();
  const held = await yard.actorIn(blob.id, { write });
  write.shut();
  held.actor.do('writeSync', held.blob, 0, UNIT, 2).catch(ignore);
  await write.held();
  return { yard, blob, slot: held.slot, actor: held.actor, write };
}

test('a snapshot goes on when the thread that it waits for dies', async () => {
  const { yard, blob, slot, actor } = await heldInWrite(true);
  const snapping = watched(blob.snapshot());
  await yard.frozen(slot);
  await manyTurns();
  expect(snapping.isSettled).toBe(false);
  await actor.kill();
  const snapshot = await snapping.promise;
  expectFilled(await snapshot.read(0, CLUSTER), 1); // the write had not begun
  await yard.rowFree(actor.row);
  await snapshot.close();
  await yard.expectSound();
  await yard.store.close();
});

test('a resize goes on when the thread that it waits for dies', async () => {
  const { yard, blob, slot, actor } = await heldInWrite(false);
  const resizing = blob.resize(CLUSTER);
  await yard.frozen(slot);
  await actor.kill();
  await resizing;
  await yard.rowFree(actor.row);
  await yard.expectSound();
  await yard.store.close();
});

test('a blob that a dead thread was inside of can be deleted, and its row is free', async () => {
  const { yard, blob, actor } = await heldInWrite(true);
  await actor.kill();
  await yard.rowFree(actor.row); // its handle of the blob is closed then, too
  const { id } = blob;
  await blob.close();
  await yard.store.delete(id);
  await yard.expectSound();
  const next = await yard.actor();
  expect(next.row).toBe(actor.row);
  await next.do('detach');
  await yard.store.close();
});

test('a store closes although a thread died inside one of its blobs', async () => {
  const { yard, actor } = await heldInWrite(true);
  await actor.kill();
  await yard.store.close();
});

test('the claim of a thread that dies during a copy-on-write is freed, and reads as zeroes', async () => {
  const yard = await ThreadYard.open();
  const blob = await yard.store.create({ sizeBytes: 4 * CLUSTER, thin: true });
  await blob.write(new Uint8Array(CLUSTER).fill(1), 0);
  await (await blob.snapshot()).close();
  const freeBefore = yard.freeClusters;
  const write = new Gate();
  const { actor, blob: its } = await yard.actorIn(blob.id, { write });
  write.shut(1, 1); // the copy is written; the write itself is held after the cluster was inserted
  actor.do('writeSync', its, 0, UNIT, 2).catch(ignore);
  await write.held();
  const read = new Gate();
  const second = await yard.actorIn(blob.id, { write: read });
  read.shut(1); // the copy is held
  second.actor.do('writeSync', second.blob, CLUSTER, UNIT, 2).catch(ignore);
  await manyTurns();
  await Promise.all([actor.kill(), second.actor.kill()]);
  await Promise.all([yard.rowFree(actor.row), yard.rowFree(second.actor.row)]);
  expectFilled(await blob.read(0, CLUSTER), 1);
  expectFilled(await blob.read(CLUSTER, CLUSTER), 0);
  expect(freeBefore - yard.freeClusters).toBeGreaterThanOrEqual(1);
  await yard.expectSound();
  await yard.store.close();
});

test('a thread that dies before its copy is inserted leaks no cluster', async () => {
  const yard = await ThreadYard.open();
  const blob = await yard.store.create({ sizeBytes: 4 * CLUSTER, thin: true });
  await blob.write(new Uint8Array(CLUSTER).fill(1), 0);
  await (await blob.snapshot()).close();
  const freeBefore = yard.freeClusters;
  const write = new Gate();
  const { actor, blob: its } = await yard.actorIn(blob.id, { write });
  write.shut();
  actor.do('writeSync', its, 0, UNIT, 2).catch(ignore);
  await write.held();
  expect(freeBefore - yard.freeClusters).toBe(1);
  await actor.kill();
  await yard.rowFree(actor.row);
  expect(yard.freeClusters).toBe(freeBefore);
  expectFilled(await blob.read(0, CLUSTER), 1);
  await yard.expectSound();
  await yard.store.close();
});

test('an insertion under way on the metadata thread ends though its thread dies, and a waiting snapshot has it', async () => {
  const write = new Gate();
  const yard = await ThreadYard.open({ durability: 'process-crash' }, { write });
  const blob = await yard.store.create({ sizeBytes: 4 * CLUSTER, thin: true });
  await blob.write(new Uint8Array(UNIT).fill(1), 0);
  const { actor, blob: its, slot } = await yard.actorIn(blob.id);
  const later = await yard.actor();
  write.shut();
  actor.do('writeSync', its, CLUSTER, UNIT, 2).catch(ignore);
  await write.held(); // the extent page is about to be written
  const snapping = watched(blob.snapshot());
  await yard.frozen(slot);
  await killAndNotice(yard, actor, later);
  expect(snapping.isSettled).toBe(false);
  write.open();
  const snapshot = await snapping.promise;
  await yard.rowFree(actor.row);
  expect((await blob.info()).allocatedBytes).toBe(0);
  expect((await snapshot.info()).allocatedBytes).toBe(2 * CLUSTER);
  await snapshot.close();
  await yard.expectSound();
  await blob.write(new Uint8Array(UNIT).fill(3), 2 * CLUSTER);
  await yard.expectSound();
  await yard.store.close();
});

test('closing a blob waits for an insertion into it whose thread has died', async () => {
  const write = new Gate();
  const yard = await ThreadYard.open({ durability: 'process-crash' }, { write });
  const blob = await yard.store.create({ sizeBytes: 4 * CLUSTER, thin: true });
  const { id } = blob;
  await blob.write(new Uint8Array(UNIT).fill(1), 0);
  const { actor, blob: its } = await yard.actorIn(id);
  const later = await yard.actor();
  await blob.close();
  write.shut();
  actor.do('writeSync', its, CLUSTER, UNIT, 2).catch(ignore);
  await write.held();
  await killAndNotice(yard, actor, later);
  write.open();
  await yard.rowFree(actor.row);
  await yard.expectSound();
  const again = await yard.store.open(id);
  expect((await again.info()).allocatedBytes).toBe(2 * CLUSTER);
  await yard.store.close();
});

test('a thread that dies while it waits for a frozen blob does not hold up the others', async () => {
  const { yard, blob, slot, write } = await heldInWrite(true);
  const victim = await yard.actorIn(blob.id);
  const other = await yard.actorIn(blob.id);
  const snapping = blob.snapshot();
  await yard.frozen(slot);
  victim.actor.do('writeSync', victim.blob, CLUSTER, UNIT, 3).catch(ignore);
  const going = other.actor.do('writeSync', other.blob, 2 * CLUSTER, UNIT, 4);
  await manyTurns();
  await victim.actor.kill();
  write.open();
  await going;
  await yard.rowFree(victim.actor.row);
  const snapshot = await snapping;
  expectFilled(await snapshot.read(0, UNIT), 2);
  expectFilled(await blob.read(2 * CLUSTER, UNIT), 4);
  expectFilled(await blob.read(CLUSTER, UNIT), 0);
  await snapshot.close();
  await yard.expectSound();
  await yard.store.close();
});

test('a thread may die while it waits for the release of a cluster that it unmaps', async () => {
  const { yard, blob, slot, write } = await heldInWrite(true);
  const victim = await yard.actorIn(blob.id);
  victim.actor.do('trimSync', victim.blob, 0, CLUSTER).catch(ignore);
  await yard.frozen(slot);
  await victim.actor.kill();
  write.open();
  await yard.rowFree(victim.actor.row);
  expectFilled(await blob.read(0, CLUSTER), 0);
  await yard.expectSound();
  await yard.store.close();
});

test('a thread may die in an unmap while a write of its own is in the same blob', async () => {
  const yard = await ThreadYard.open();
  const blob = await yard.store.create({ sizeBytes: 4 * CLUSTER, thin: true });
  await blob.write(new Uint8Array(CLUSTER).fill(1), 0);
  const write = new Gate();
  const { actor, blob: its, slot } = await yard.actorIn(blob.id, { write }, true);
  write.shut();
  actor.together(['write', its, 0, UNIT, 2], ['trim', its, 0, CLUSTER]).catch(ignore);
  await write.held();
  await yard.frozen(slot); // the release waits for the write, which never ends
  await actor.kill();
  await yard.rowFree(actor.row);
  expectFilled(await blob.read(0, CLUSTER), 0);
  await yard.expectSound();
  await yard.store.close();
});

test('a row can be used again and again, in whichever way its threads have died', async () => {
  const yard = await ThreadYard.open();
  const blob = await yard.store.create({ sizeBytes: 8 * CLUSTER, thin: true });
  let row = -1;
  for (let round = 0; round < 4; round++) {
    const write = new Gate();
    const { actor, blob: its } = await yard.actorIn(blob.id, { write });
    if (row >= 0) expect(actor.row).toBe(row);
    row = actor.row;
    const outcomes = await actor.together(
      ...Array.from({ length: 8 }, (_, at) => ['write', its, at * CLUSTER, UNIT, round + 1] as const),
    );
    expect(codesOf(outcomes)).toEqual(Array.from({ length: 8 }, () => 'ok'));
    write.shut();
    actor.do('writeSync', its, round * CLUSTER, UNIT, 9).catch(ignore);
    await write.held();
    await actor.kill();
    await yard.rowFree(row);
  }
  for (let at = 0; at < 8; at++) expectFilled(await blob.read(at * CLUSTER, UNIT), 4);
  await yard.expectSound();
  await yard.store.close();
});
