/** Changes of a blob by the metadata thread are visible on attached threads as soon as they are done. */

import { expect, test } from 'vitest';
import { CLUSTER, expectCode, expectFilled, ThreadYard, UNIT } from './actors.js';

async function open(thin = true) {
  const yard = await ThreadYard.open();
  const blob = await yard.store.create({ sizeBytes: 4 * CLUSTER, thin });
  const { actor, blob: its } = await yard.actorIn(blob.id);
  return { yard, blob, actor, its };
}

test('a thread sees the new size of a blob, and can write at its new end', async () => {
  const { yard, blob, actor, its } = await open();
  await expectCode(actor.do('writeSync', its, 4 * CLUSTER, UNIT, 1), 'EINVAL');
  await blob.resize(600 * CLUSTER); // the map of the blob moves in memory
  expect(await actor.do('look', its)).toEqual({ sizeBytes: 600 * CLUSTER, isReadOnly: false });
  await actor.do('writeSync', its, 599 * CLUSTER, UNIT, 1);
  expectFilled(await blob.read(599 * CLUSTER, UNIT), 1);
  await blob.resize(2 * CLUSTER);
  expect(await actor.do('look', its)).toEqual({ sizeBytes: 2 * CLUSTER, isReadOnly: false });
  await expectCode(actor.do('readSync', its, 2 * CLUSTER, UNIT), 'EINVAL');
  await expectCode(actor.do('write', its, 599 * CLUSTER, UNIT, 1), 'EINVAL');
  await yard.expectSound();
  await yard.store.close();
});

test('after a snapshot, a thread writes to the clone and not to the snapshot', async () => {
  const { yard, blob, actor, its } = await open();
  await actor.do('writeSync', its, 0, CLUSTER, 1);
  const snapshot = await blob.snapshot();
  await actor.do('writeSync', its, 0, UNIT, 2); // with a stale map, the thread would write to the snapshot's cluster
  expectFilled(await snapshot.read(0, CLUSTER), 1);
  expectFilled(await blob.read(0, UNIT), 2);
  const { blob: theirs } = await actor.do('openSync', snapshot.id);
  expect(await actor.do('look', theirs)).toEqual({ sizeBytes: 4 * CLUSTER, isReadOnly: true });
  expectFilled(await actor.do('readSync', theirs, 0, CLUSTER), 1);
  await expectCode(actor.do('writeSync', theirs, 0, UNIT, 3), 'EPERM');
  await actor.do('detach');
  await snapshot.close();
  await yard.expectSound();
  await yard.store.close();
});

test('a thread can go on reading when the snapshot behind its blob is deleted, or the blob inflated or decoupled', async () => {
  const { yard, blob, actor, its } = await open();
  await actor.do('writeSync', its, 0, CLUSTER, 1);
  const first = await blob.snapshot();
  await actor.do('writeSync', its, CLUSTER, CLUSTER, 2);
  const second = await blob.snapshot();
  const ids = [first.id, second.id];
  await Promise.all([first.close(), second.close()]);
  const expectContent = async () => {
    expectFilled(await actor.do('readSync', its, 0, CLUSTER), 1);
    expectFilled(await actor.do('read', its, CLUSTER, CLUSTER), 2);
  };
  await expectContent();
  await yard.store.delete(ids[0]);
  await expectContent();
  await blob.decouple();
  await expectContent();
  await blob.inflate();
  await expectContent();
  await yard.store.delete(ids[1]);
  await expectContent();
  await yard.expectSound();
  await yard.store.close();
});

test('a thread sees that a blob has become read-only', async () => {
  const { yard, blob, actor, its } = await open(false);
  await actor.do('writeSync', its, 0, UNIT, 1);
  await blob.setReadOnly();
  expect(await actor.do('look', its)).toEqual({ sizeBytes: 4 * CLUSTER, isReadOnly: true });
  await expectCode(actor.do('writeSync', its, 0, UNIT, 2), 'EPERM');
  await expectCode(actor.do('write', its, 0, UNIT, 2), 'EPERM');
  await expectCode(actor.do('trim', its, 0, UNIT), 'EPERM');
  expectFilled(await actor.do('readSync', its, 0, UNIT), 1);
  await yard.store.close();
});

test('a handle of a blob that the store has closed shows its last state, and refuses all operations', async () => {
  const { yard, actor, its } = await open();
  await yard.store.close();
  expect(await actor.do('look', its)).toEqual({ sizeBytes: 4 * CLUSTER, isReadOnly: false });
  await expectCode(actor.do('readSync', its, 0, UNIT), 'EBADF');
  await expectCode(actor.do('trim', its, 0, UNIT), 'EBADF');
  await actor.do('close', its);
  await actor.do('detach');
});

test('a thread sees blobs of slots and maps that did not exist when it attached', async () => {
  const yard = await ThreadYard.open({ mdPageCount: 200 });
  const actor = await yard.actor();
  const blobs = [];
  for (let at = 0; at < 100; at++) blobs.push(await yard.store.create({ sizeBytes: 1000 * CLUSTER, thin: true }));
  for (const [at, blob] of blobs.entries()) {
    const { blob: its } = await actor.do('openSync', blob.id);
    await actor.do('writeSync', its, (900 + (at % 100)) * CLUSTER, UNIT, at);
    expectFilled(await blob.read((900 + (at % 100)) * CLUSTER, UNIT), at);
  }
  await yard.expectSound();
  await yard.store.close();
});
