/** Synchronous and promise forms mixed on one thread: there is no deadlock, and the order of the calls is kept. */

import { expect, test } from 'vitest';
import { CLUSTER, codesOf, expectCode, expectFilled, manyTurns, ThreadYard, UNIT, until, watched } from './actors.js';
import { Gate } from './gate.js';

/** A blob that is being frozen by a snapshot, a thread that is held in a write to it, and another thread. */
async function frozenYard() {
  const yard = await ThreadYard.open();
  const blob = await yard.store.create({ sizeBytes: 16 * CLUSTER });
  await blob.write(new Uint8Array(16 * CLUSTER).fill(1), 0);
  const write = new Gate();
  const holder = await yard.actorIn(blob.id, { write });
  const other = await yard.actorIn(blob.id);
  write.shut();
  const writing = holder.actor.do('writeSync', holder.blob, 15 * CLUSTER, UNIT, 2);
  await write.held();
  const snapping = blob.snapshot();
  await yard.frozen(holder.slot);
  const thaw = async () => {
    write.open();
    await writing;
    return snapping;
  };
  return { yard, blob, actor: other.actor, its: other.blob, slot: other.slot, thaw };
}

test('a synchronous call on a blob that waits for promises of its own thread fails with EBUSY', async () => {
  const write = new Gate();
  const yard = await ThreadYard.open({ durability: 'process-crash' }, { write });
  const blob = await yard.store.create({ sizeBytes: 16 * CLUSTER, thin: true });
  await blob.write(new Uint8Array(CLUSTER).fill(1), 0);
  const { actor, blob: its, slot } = await yard.actorIn(blob.id);
  write.shut();
  const writing = watched(actor.do('write', its, CLUSTER, UNIT, 2));
  await write.held(); // the thread's write is inside the blob, and the metadata thread is inserting its cluster
  const snapping = watched(blob.snapshot());
  await yard.frozen(slot);
  await expectCode(actor.do('readSync', its, 0, UNIT), 'EBUSY');
  await expectCode(actor.do('writeSync', its, 0, UNIT, 3), 'EBUSY');
  await expectCode(actor.do('trimSync', its, 0, CLUSTER), 'EBUSY');
  await expectCode(actor.do('openSync', blob.id), 'EBUSY');
  const queued = actor.do('read', its, 0, UNIT);
  expect(writing.isSettled).toBe(false);
  write.open();
  await writing.promise;
  const snapshot = await snapping.promise;
  expectFilled(await queued, 1);
  expectFilled(await snapshot.read(CLUSTER, UNIT), 2);
  expectFilled(await actor.do('readSync', its, 0, UNIT), 1);
  await snapshot.close();
  await yard.expectSound();
  await yard.store.close();
});

test('a synchronous call waits if no operation of its own thread is in the way', async () => {
  const { yard, blob, actor, its, thaw } = await frozenYard();
  const queued = actor.together(['write', its, 0, UNIT, 3]); // waits outside the blob
  const stopped = watched(actor.do('writeSync', its, CLUSTER, UNIT, 4));
  await manyTurns();
  expect(stopped.isSettled).toBe(false);
  await (await thaw()).close();
  await stopped.promise;
  expect(codesOf(await queued)).toEqual(['ok']);
  expectFilled(await blob.read(0, UNIT), 3);
  expectFilled(await blob.read(CLUSTER, UNIT), 4);
  await yard.expectSound();
  await yard.store.close();
});

test('requests over several clusters queue, or block their thread, and go on part by part after the thaw', async () => {
  const { yard, blob, actor, its, thaw } = await frozenYard();
  const queued = actor.together(['write', its, UNIT, 2 * CLUSTER, 3], ['read', its, 8 * CLUSTER + UNIT, 2 * CLUSTER]);
  const stopped = watched(actor.do('writeSync', its, 4 * CLUSTER + UNIT, 2 * CLUSTER, 4));
  await manyTurns();
  expect(stopped.isSettled).toBe(false);
  const snapshot = await thaw();
  await stopped.promise;
  expect(codesOf(await queued)).toEqual(['ok', 'ok']);
  expectFilled(await blob.read(UNIT, 2 * CLUSTER), 3);
  expectFilled(await blob.read(4 * CLUSTER + UNIT, 2 * CLUSTER), 4);
  expectFilled(await snapshot.read(0, 8 * CLUSTER), 1);
  await snapshot.close();
  await yard.expectSound();
  await yard.store.close();
});

test('a synchronous write to a cluster that the same thread is allocating does not wait for that', async () => {
  const write = new Gate();
  const yard = await ThreadYard.open({ durability: 'process-crash' }, { write });
  const blob = await yard.store.create({ sizeBytes: 16 * CLUSTER, thin: true });
  await blob.write(new Uint8Array(CLUSTER).fill(1), 0);
  const freeBefore = yard.freeClusters;
  const { actor, blob: its } = await yard.actorIn(blob.id);
  write.shut();
  const both = actor.together(['write', its, CLUSTER, UNIT, 2], ['writeSync', its, CLUSTER + UNIT, UNIT, 3]);
  await write.held();
  await until(() => freeBefore - yard.freeClusters === 2); // each write has claimed a cluster
  write.open();
  expect(codesOf(await both)).toEqual(['ok', 'ok']);
  expect(freeBefore - yard.freeClusters).toBe(1);
  expectFilled(await blob.read(CLUSTER, UNIT), 2);
  expectFilled(await blob.read(CLUSTER + UNIT, UNIT), 3);
  await yard.expectSound();
  await yard.store.close();
});

test('operations that queued while a blob was frozen run in their order', async () => {
  const { yard, blob, actor, its, thaw } = await frozenYard();
  const count = 20;
  const writes = actor.together(...Array.from({ length: count }, (_, at) => ['write', its, 0, UNIT, at + 1] as const));
  await manyTurns();
  const snapshot = await thaw();
  const outcomes = await writes;
  expect(codesOf(outcomes)).toEqual(Array.from({ length: count }, () => 'ok'));
  expectFilled(await blob.read(0, UNIT), count);
  expectFilled(await snapshot.read(0, UNIT), 1);
  await snapshot.close();
  await yard.expectSound();
  await yard.store.close();
});

test.each([
  { form: 'synchronous', name: 'writeSync' },
  { form: 'promise', name: 'write' },
] as const)('a $form write after the thaw does not overtake writes that queued before it', async ({ name }) => {
  const { yard, blob, actor, its, slot, thaw } = await frozenYard();
  const queued = watched(actor.together(['write', its, 0, UNIT, 3], ['write', its, 0, UNIT, 4]));
  await manyTurns();
  const thawed = new Gate();
  thawed.shut();
  // The thread is blocked while the blob is thawed, so that its queue has not run when it makes the next write.
  const last = actor.together(['standStill', thawed.buffer], [name, its, 0, UNIT, 5]);
  await thawed.held();
  const snapshot = await thaw();
  expect(yard.shared.blobs.load(slot, 0)).toBe(0);
  await blob.write(new Uint8Array(UNIT).fill(9), 0); // allocates: the thread's writes need not wait for the metadata thread
  expect(queued.isSettled).toBe(false);
  thawed.open();
  expect(codesOf([...(await queued.promise), ...(await last)])).toEqual(['ok', 'ok', 'ok', 'ok']);
  expectFilled(await blob.read(0, UNIT), 5);
  await snapshot.close();
  await yard.expectSound();
  await yard.store.close();
});
