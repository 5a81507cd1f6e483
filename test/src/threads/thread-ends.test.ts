/** Threads that detach, or end without a detach, in any state. */

import { expect, test } from 'vitest';
import { CLUSTER, codesOf, expectCode, expectFilled, manyTurns, ThreadYard, UNIT, watched } from './actors.js';
import { Gate } from './gate.js';

async function thinYard() {
  const yard = await ThreadYard.open();
  const blob = await yard.store.create({ sizeBytes: 16 * CLUSTER, thin: true });
  await blob.write(new Uint8Array(CLUSTER).fill(1), 0);
  return { yard, blob };
}

/** A closed blob: opening it reads from the metadata thread's device, which has a gate. */
async function closedYard() {
  const read = new Gate();
  const yard = await ThreadYard.open({}, { read });
  const blob = await yard.store.create({ sizeBytes: CLUSTER });
  await blob.close();
  return { yard, id: blob.id, read };
}

/** A thin blob, and a thread that is held in a write while a snapshot begins. */
async function frozenYard() {
  const { yard, blob } = await thinYard();
  const write = new Gate();
  const holder = await yard.actorIn(blob.id, { write });
  const victim = await yard.actorIn(blob.id);
  write.shut();
  const writing = holder.actor.do('writeSync', holder.blob, 0, UNIT, 2);
  await write.held();
  const snapping = blob.snapshot();
  await yard.frozen(holder.slot);
  const thaw = async () => {
    write.open();
    await writing;
    return snapping;
  };
  return { yard, actor: victim.actor, its: victim.blob, thaw };
}

test.each(['end', 'exit', 'crash'] as const)('all that a thread had is freed when it ends by "%s"', async (way) => {
  const { yard, blob } = await thinYard();
  const { id } = blob;
  const { actor, blob: its } = await yard.actorIn(id);
  await actor.do('write', its, CLUSTER, UNIT, 2);
  await blob.close();
  await Promise.race([actor.do(way), actor.ended()]);
  await actor.ended();
  await yard.rowFree(actor.row);
  await yard.expectSound();
  await yard.store.delete(id);
  await yard.expectSound();
  await yard.store.close();
});

test.each(['exit', 'crash'] as const)(
  'a thread may end by "%s" with an operation queued on a frozen blob',
  async (way) => {
    const { yard, actor, its, thaw } = await frozenYard();
    void actor.together(['write', its, CLUSTER, UNIT, 3]);
    await manyTurns();
    void actor.do(way).catch(() => undefined);
    await actor.ended();
    const snapshot = await thaw();
    await yard.rowFree(actor.row);
    expectFilled(await snapshot.read(0, UNIT), 2);
    await snapshot.close();
    await yard.expectSound();
    await yard.store.close();
  },
);

test('detaching waits for an operation that is queued on a frozen blob', async () => {
  const { yard, actor, its, thaw } = await frozenYard();
  const ended = watched(actor.together(['write', its, CLUSTER, UNIT, 3], ['detach']));
  await manyTurns();
  expect(ended.isSettled).toBe(false);
  const snapshot = await thaw();
  expect(codesOf(await ended.promise)).toEqual(['ok', 'ok']);
  expectFilled(await snapshot.read(CLUSTER, UNIT), 0);
  await snapshot.close();
  await yard.expectSound();
  await yard.store.close();
});

test('all that a thread had is freed when its detach resolves', async () => {
  const { yard, blob } = await thinYard();
  const { id } = blob;
  await blob.close();
  const { actor, blob: its } = await yard.actorIn(id);
  await actor.do('write', its, CLUSTER, UNIT, 2);
  await actor.do('openSync', id);
  await actor.do('detach');
  expect(yard.shared.channels.isTaken(actor.row)).toBe(false);
  await yard.store.delete(id); // the two handles of the thread do not keep the blob open any more
  await expectCode(actor.do('readSync', its, 0, UNIT), 'EBADF');
  await expectCode(actor.do('openSync', id), 'EBADF');
  await expectCode(actor.do('open', id), 'EBADF');
  await actor.do('detach'); // a second call has the same outcome
  await yard.expectSound();
  await yard.store.close();
});

test('a blob that is being opened while its thread detaches is closed, too', async () => {
  const { yard, id, read } = await closedYard();
  const actor = await yard.actor();
  read.shut();
  const ended = watched(actor.together(['open', id], ['detach']));
  await read.held(); // the blob's metadata is being read
  await manyTurns();
  expect(ended.isSettled).toBe(false);
  read.open();
  expect(codesOf(await ended.promise)).toEqual(['ok', 'ok']);
  await yard.store.delete(id);
  await yard.expectSound();
  await yard.store.close();
});

test('a blob that is being opened while its thread dies is closed, too', async () => {
  const { yard, id, read } = await closedYard();
  const actor = await yard.actor();
  read.shut();
  void actor.do('openSync', id);
  await read.held();
  await actor.kill();
  read.open();
  await yard.rowFree(actor.row);
  await yard.store.delete(id);
  await yard.expectSound();
  await yard.store.close();
});

test('a thread can attach again, and goes on', async () => {
  const { yard, blob } = await thinYard();
  const actor = await yard.actor();
  for (let round = 0; round < 5; round++) {
    const { blob: its } = await actor.do('openSync', blob.id, round);
    await actor.do('writeSync', its, round * CLUSTER, UNIT, round);
    await actor.do('detach', round);
    await actor.do('attach', yard.handle);
  }
  for (let round = 0; round < 5; round++) expectFilled(await blob.read(round * CLUSTER, UNIT), round);
  await yard.expectSound();
  await yard.store.close();
});
