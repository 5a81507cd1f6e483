/**
 * Closing blobs and stores during operations of attached threads: these end, or fail with EBADF, and the close ends.
 */

import { expect, test } from 'vitest';
import { CLUSTER, codesOf, expectCode, expectFilled, manyTurns, ThreadYard, UNIT, until, watched } from './actors.js';
import { Gate } from './gate.js';

async function thickYard(gates?: { read: Gate }) {
  const yard = await ThreadYard.open({}, gates);
  const blob = await yard.store.create({ sizeBytes: 4 * CLUSTER });
  return { yard, blob };
}

test('closing the store waits for a write that is under way on another thread', async () => {
  const { yard, blob } = await thickYard();
  const write = new Gate();
  const { actor, blob: its, slot } = await yard.actorIn(blob.id, { write });
  write.shut();
  const writing = actor.do('writeSync', its, 0, UNIT, 2);
  await write.held();
  const closing = watched(yard.store.close());
  await yard.frozen(slot);
  await manyTurns();
  expect(closing.isSettled).toBe(false);
  write.open();
  await writing;
  await closing.promise;
  await expectCode(actor.do('writeSync', its, 0, UNIT, 3), 'EBADF');
  await expectCode(actor.do('write', its, 0, UNIT, 3), 'EBADF');
  await expectCode(actor.do('openSync', blob.id), 'EBADF');
  await expectCode(actor.do('open', blob.id), 'EBADF');
  await actor.do('detach');
  await expectCode(actor.do('attach', yard.handle), 'EBADF');
});

test('operations that wait for a frozen blob fail with EBADF when the blob is closed meanwhile', async () => {
  const { yard, blob } = await thickYard();
  const write = new Gate();
  const holder = await yard.actorIn(blob.id, { write });
  const blocked = await yard.actorIn(blob.id);
  const queued = await yard.actorIn(blob.id);
  write.shut();
  const writing = holder.actor.do('writeSync', holder.blob, 0, UNIT, 2);
  await write.held();
  const closing = yard.store.close();
  await yard.frozen(holder.slot);
  const late = [
    blocked.actor.together(['readSync', blocked.blob, 0, UNIT]),
    queued.actor.together(['read', queued.blob, 0, UNIT], ['write', queued.blob, 0, UNIT, 3]),
  ];
  await manyTurns();
  write.open();
  await writing;
  await closing;
  expect((await Promise.all(late)).flatMap(codesOf)).toEqual(['EBADF', 'EBADF', 'EBADF']);
});

test('threads that never stop writing do not keep the store from closing', async () => {
  const { yard, blob } = await thickYard();
  const thin = await yard.store.create({ sizeBytes: 32 * CLUSTER, thin: true });
  const other = await yard.store.create({ sizeBytes: 32 * CLUSTER, thin: true });
  const first = await yard.actorIn(blob.id);
  const second = await yard.actorIn(thin.id);
  const third = await yard.actorIn(other.id);
  const busy = [
    first.actor.do('writeUntilFailure', first.blob, UNIT, 16),
    second.actor.do('writeUntilFailure', second.blob, CLUSTER, 32),
    third.actor.do('writeUntilFailure', third.blob, CLUSTER, 32),
  ];
  const hasLast = (each: typeof blob, stride: number) => each.readSync(each.sizeBytes - stride, 1)[0] === 1;
  await until(() => hasLast(blob, UNIT) && hasLast(thin, CLUSTER) && hasLast(other, CLUSTER));
  await yard.store.close();
  const ends = await Promise.all(busy);
  expect(ends.map(({ code }) => code)).toEqual(['EBADF', 'EBADF', 'EBADF']);
  for (const { done } of ends) expect(done).toBeGreaterThan(0);
});

test('opening blobs on a thread while the store closes succeeds or fails with EBADF, and the store closes', async () => {
  const read = new Gate();
  const yard = await ThreadYard.open({}, { read });
  const { id } = await yard.store.create({ sizeBytes: 4 * CLUSTER });
  for (const blob of await yard.store.blobs()) expect(blob.id).toBe(id);
  const other = await yard.store.create({ sizeBytes: CLUSTER });
  await other.close();
  const actor = await yard.actor();
  const late = await yard.actor();
  read.shut();
  const opening = actor.together(['open', other.id], ['open', id]);
  await read.held(); // the metadata of the blob is being read
  const closing = watched(yard.store.close());
  await manyTurns();
  expect(closing.isSettled).toBe(false);
  await expectCode(late.do('openSync', id), 'EBADF'); // an opening that comes now is refused
  await expectCode(late.do('open', id), 'EBADF');
  read.open();
  await closing.promise;
  const codes = codesOf(await opening);
  for (const code of codes) expect(['ok', 'EBADF']).toContain(code);
  await actor.do('detach');
});

test('a blob stays open for an attached thread when the opener closes it, and cannot be deleted', async () => {
  const { yard, blob } = await thickYard();
  const { actor, blob: its } = await yard.actorIn(blob.id);
  await blob.write(new Uint8Array(UNIT).fill(1), 0);
  await blob.close();
  expectFilled(await actor.do('readSync', its, 0, UNIT), 1);
  await expectCode(yard.store.delete(blob.id), 'EBUSY');
  await actor.do('close', its);
  await expectCode(actor.do('readSync', its, 0, UNIT), 'EBADF');
  await expectCode(actor.do('read', its, 0, UNIT), 'EBADF');
  await yard.store.delete(blob.id);
  await yard.expectSound();
  await yard.store.close();
});

test('closing a handle on a thread waits for the operations that are under way by it', async () => {
  const { yard, blob } = await thickYard();
  const write = new Gate();
  const { actor, blob: its } = await yard.actorIn(blob.id, { write }, true);
  write.shut();
  const ended = actor.together(['write', its, 0, UNIT, 2], ['close', its], ['write', its, UNIT, UNIT, 3]);
  await write.held();
  write.open();
  const outcomes = await ended;
  expect(codesOf(outcomes)).toEqual(['ok', 'ok', 'EBADF']);
  expect(outcomes.map(({ place }) => place)).toEqual([1, 2, 0]);
  expectFilled(await blob.read(0, UNIT), 2);
  await yard.expectSound();
  await yard.store.close();
});

test('a closed handle does not reach another blob that got its slot', async () => {
  const { yard, blob } = await thickYard();
  const { actor, blob: its, slot } = await yard.actorIn(blob.id);
  const { id } = blob;
  await blob.close();
  await actor.do('close', its);
  await yard.store.delete(id);
  const next = await yard.store.create({ sizeBytes: CLUSTER });
  expect(next.engine.slot).toBe(slot);
  await expectCode(actor.do('writeSync', its, 0, UNIT, 9), 'EBADF');
  expectFilled(await next.read(0, UNIT), 0);
  await yard.store.close();
});
