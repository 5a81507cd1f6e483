/** A store whose metadata thread is gone: all present and later calls of attached threads fail with EIO. None hangs. */

import { expect, test } from 'vitest';
import { STORE } from '../../../packages/core/dist/shared/layout.js';
import { type Actor, CLUSTER, codesOf, expectCode, manyTurns, ThreadYard, UNIT, until, watched } from './actors.js';
import { Gate } from './gate.js';

const REQUESTS_MAX = 64;

/** A store whose metadata thread is held in the write of an extent page, so that it answers no insertion. */
async function deafYard(sizeClusters: number) {
  const write = new Gate();
  const yard = await ThreadYard.open({ durability: 'process-crash' }, { write });
  const blob = await yard.store.create({ sizeBytes: sizeClusters * CLUSTER, thin: true });
  await blob.write(new Uint8Array(UNIT).fill(1), 0);
  write.shut(1000);
  return { yard, blob, write };
}

async function expectDead(actor: Actor, blob: number, id: bigint): Promise<void> {
  for (let round = 0; round < 2; round++) {
    await expectCode(actor.do('readSync', blob, 0, UNIT), 'EIO');
    await expectCode(actor.do('writeSync', blob, 0, UNIT, 1), 'EIO');
    const outcomes = await actor.together(
      ['read', blob, 0, UNIT],
      ['write', blob, 0, UNIT, 1],
      ['trim', blob, 0, CLUSTER],
      ['open', id],
    );
    expect(codesOf(outcomes)).toEqual(['EIO', 'EIO', 'EIO', 'EIO']);
  }
  await expectCode(actor.do('openSync', id), 'EIO');
  // Acknowledged changes may be lost. So closing fails once, and releases everything.
  await expectCode(actor.do('close', blob), 'EIO');
  await expectCode(actor.do('detach'), 'EIO');
  await actor.do('detach');
  await actor.do('close', blob);
}

test('all calls of threads that were idle fail', async () => {
  const yard = await ThreadYard.open();
  const blob = await yard.store.create({ sizeBytes: 4 * CLUSTER });
  const { actor, blob: its } = await yard.actorIn(blob.id);
  yard.shared.markFailed();
  yard.shared.markFailed();
  await expectDead(actor, its, blob.id);
  await expectCode(actor.do('attach', yard.handle), 'EIO');
});

test('calls that wait for a frozen blob fail, blocking and queued ones', async () => {
  const yard = await ThreadYard.open();
  const blob = await yard.store.create({ sizeBytes: 4 * CLUSTER });
  const write = new Gate();
  const holder = await yard.actorIn(blob.id, { write });
  const stopped = await yard.actorIn(blob.id);
  const queued = await yard.actorIn(blob.id);
  write.shut();
  const writing = holder.actor.do('writeSync', holder.blob, 0, UNIT, 2);
  await write.held();
  void blob.snapshot();
  await yard.frozen(holder.slot);
  const late = [
    watched(stopped.actor.together(['writeSync', stopped.blob, 0, UNIT, 3])),
    watched(queued.actor.together(['write', queued.blob, 0, UNIT, 3], ['read', queued.blob, 0, UNIT])),
  ];
  await manyTurns();
  expect(late.map(({ isSettled }) => isSettled)).toEqual([false, false]);
  yard.shared.markFailed();
  const outcomes = await Promise.all(late.map(({ promise }) => promise));
  expect(outcomes.flatMap(codesOf)).toEqual(['EIO', 'EIO', 'EIO']);
  await expectDead(stopped.actor, stopped.blob, blob.id);
  await expectDead(queued.actor, queued.blob, blob.id);
  await holder.actor.kill();
  await expect(Promise.race([writing, Promise.resolve('killed')])).resolves.toBe('killed');
});

test('calls that wait for the metadata thread fail, blocking ones and promises', async () => {
  const { yard, blob, write } = await deafYard(16);
  const stopped = await yard.actorIn(blob.id);
  const waiting = await yard.actorIn(blob.id);
  const late = [
    stopped.actor.together(['writeSync', stopped.blob, CLUSTER, UNIT, 2]),
    waiting.actor.together(['write', waiting.blob, 2 * CLUSTER, UNIT, 3]),
  ];
  await write.held(1);
  yard.shared.markFailed();
  expect((await Promise.all(late)).flatMap(codesOf)).toEqual(['EIO', 'EIO']);
  await expectDead(stopped.actor, stopped.blob, blob.id);
  await expectDead(waiting.actor, waiting.blob, blob.id);
});

test('a call that waits for the used lock fails if the metadata thread has died with this lock', async () => {
  const yard = await ThreadYard.open();
  const blob = await yard.store.create({ sizeBytes: 16 * CLUSTER, thin: true });
  await blob.write(new Uint8Array(UNIT).fill(1), 0);
  const { actor, blob: its } = await yard.actorIn(blob.id);
  yard.store.engine.blobstore.shared.usedLock.acquire();
  const waiting = watched(actor.together(['writeSync', its, CLUSTER, UNIT, 2], ['write', its, 2 * CLUSTER, UNIT, 3]));
  const words = new Int32Array(yard.handle.buffers.store);
  await until(() => Atomics.load(words, STORE.USED_LOCK_WAITERS) > 0);
  expect(waiting.isSettled).toBe(false);
  yard.shared.markFailed();
  expect(codesOf(await waiting.promise)).toEqual(['EIO', 'EIO']);
  await expectDead(actor, its, blob.id);
});

test('of more requests than a mailbox holds all fail, and so do later ones', async () => {
  const count = REQUESTS_MAX + 16;
  const { yard, blob, write } = await deafYard(count + 1);
  const { actor, blob: its } = await yard.actorIn(blob.id);
  const late = actor.together(
    ...Array.from({ length: count }, (_, at) => ['write', its, (at + 1) * CLUSTER, UNIT, 2] as const),
  );
  await write.held(1);
  yard.shared.markFailed();
  expect(codesOf(await late)).toEqual(Array.from({ length: count }, () => 'EIO'));
  await expectDead(actor, its, blob.id);
});
