/** Freezing a blob waits for operations on other threads that have already entered the blob. */

import { expect, test } from 'vitest';
import { CLUSTER, expectCode, expectFilled, manyTurns, ThreadYard, UNIT, until, watched } from './actors.js';
import { Gate } from './gate.js';

/** A thick blob, and a thread that is held in the middle of writing its first io unit. */
async function heldInWrite() {
  const yard = await ThreadYard.open();
  const blob = await yard.store.create({ sizeBytes: 4 * CLUSTER });
  await blob.write(new Uint8Array(4 * CLUSTER).fill(1), 0);
  const write = new Gate();
  const { actor, blob: its, slot } = await yard.actorIn(blob.id, { write });
  write.shut();
  const writing = watched(actor.do('writeSync', its, 0, UNIT, 2));
  await write.held();
  return { yard, blob, slot, write, writing, actor, its };
}

test('a snapshot waits for a write that is under way on another thread, and has its data', async () => {
  const { yard, blob, slot, write, writing } = await heldInWrite();
  const snapping = watched(blob.snapshot());
  await yard.frozen(slot);
  await manyTurns();
  expect(snapping.isSettled).toBe(false);
  write.open();
  await writing.promise;
  const snapshot = await snapping.promise;
  expectFilled(await snapshot.read(0, UNIT), 2);
  expectFilled(await snapshot.read(UNIT, 3 * UNIT), 1);
  await snapshot.close();
  await yard.expectSound();
  await yard.store.close();
});

test('a shrink waits for a write to the part that it cuts off on another thread', async () => {
  const { yard, blob, slot, write, writing, actor, its } = await heldInWrite();
  const resizing = watched(blob.resize(0));
  await yard.frozen(slot);
  await manyTurns();
  expect(resizing.isSettled).toBe(false);
  write.open();
  await writing.promise;
  await resizing.promise;
  await expectCode(actor.do('writeSync', its, 0, UNIT, 3), 'EINVAL');
  const other = await yard.store.create({ sizeBytes: 4 * CLUSTER });
  expectFilled(await other.read(0, 4 * CLUSTER), 0); // the cut-off clusters are another blob's now, and read as zeroes
  await yard.expectSound();
  await yard.store.close();
});

test('an operation that comes while a blob is frozen waits, and takes effect after the snapshot', async () => {
  const { yard, blob, slot, write, writing } = await heldInWrite();
  const second = await yard.actorIn(blob.id);
  const third = await yard.actorIn(blob.id);
  const snapping = blob.snapshot();
  await yard.frozen(slot);
  const late = [
    watched(second.actor.do('writeSync', second.blob, UNIT, UNIT, 5)),
    watched(third.actor.do('write', third.blob, 2 * UNIT, UNIT, 6)),
  ];
  await manyTurns();
  expect(late.map(({ isSettled }) => isSettled)).toEqual([false, false]);
  write.open();
  const snapshot = await snapping;
  await Promise.all([writing.promise, ...late.map(({ promise }) => promise)]);
  expectFilled(await snapshot.read(0, UNIT), 2);
  expectFilled(await snapshot.read(UNIT, 3 * UNIT), 1);
  expectFilled(await blob.read(0, UNIT), 2);
  expectFilled(await blob.read(UNIT, UNIT), 5);
  expectFilled(await blob.read(2 * UNIT, UNIT), 6);
  await snapshot.close();
  await yard.expectSound();
  await yard.store.close();
});

/**
 * Several snapshots behind a blob, of which the first has cluster 0, and a thread that is held in a read of that
 * cluster through the blob. The thread has made `before` reads, so that it may already know where the cluster is.
 */
async function heldInRead(before: number, snapshots = 3) {
  const yard = await ThreadYard.open();
  const blob = await yard.store.create({ sizeBytes: 4 * CLUSTER, thin: true });
  await blob.write(new Uint8Array(CLUSTER).fill(7), 0);
  const ids: bigint[] = [];
  for (let made = 0; made < snapshots; made++) {
    const snapshot = await blob.snapshot();
    ids.push(snapshot.id);
    await snapshot.close();
  }
  const read = new Gate();
  const { actor, blob: its } = await yard.actorIn(blob.id, { read });
  for (let made = 0; made < before; made++) expectFilled(await actor.do('readSync', its, 0, UNIT), 7);
  read.shut();
  const reading = actor.do('readSync', its, 0, UNIT);
  await read.held();
  const frozen = () => {
    const { freezes } = yard.shared;
    return until(() => yard.shared.freezes !== freezes);
  };
  return { yard, ids, read, actor, its, reading, frozen };
}

test.each([
  [1, 0],
  [1, 2],
  [3, 0],
  [3, 2],
])(
  'deleting the first of %i snapshots waits for a read of its data through the blob (%i before)',
  async (snapshots, before) => {
    const { yard, ids, read, actor, its, reading, frozen } = await heldInRead(before, snapshots);
    const isFrozen = frozen();
    const deleting = watched(yard.store.delete(ids[0])); // freezes its clone, which takes over the cluster
    await isFrozen;
    await manyTurns();
    expect(deleting.isSettled).toBe(false);
    read.open();
    expectFilled(await reading, 7);
    await deleting.promise;
    expectFilled(await actor.do('readSync', its, 0, UNIT), 7);
    await yard.expectSound();
    await yard.store.close();
  },
);

test.each([0, 2])(
  'decoupling a snapshot waits for a read of its parent’s data through it (%i reads before)',
  async (before) => {
    const { yard, ids, read, actor, its, reading, frozen } = await heldInRead(before);
    const middle = await yard.store.open(ids[1]);
    const isFrozen = frozen();
    const cutting = watched(
      (async () => {
        await middle.decouple();
        await yard.store.delete(ids[0]); // clears the cluster that is being read
      })(),
    );
    await isFrozen;
    await manyTurns();
    expect(cutting.isSettled).toBe(false);
    read.open();
    expectFilled(await reading, 7);
    await cutting.promise;
    await middle.close();
    expectFilled(await actor.do('readSync', its, 0, UNIT), 7);
    await yard.expectSound();
    await yard.store.close();
  },
);
