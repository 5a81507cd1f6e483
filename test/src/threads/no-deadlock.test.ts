/**
 * A thread never waits for work that waits for this thread itself: for slots of its mailbox, for its own operations
 * inside a blob, or for its own progress callback.
 */

import { SharedStore, STORE_END } from '@blobyard/core';
import { expect, test } from 'vitest';
import { CLUSTER, expectFilled, ThreadYard, until } from './actors.js';

const ALL_BUSY = Array.from({ length: 5 }, () => 'EBUSY');

test('flushes that wait for a snapshot leave slots for the insertion that the snapshot waits for', async () => {
  const yard = await ThreadYard.open();
  const blob = await yard.store.create({ sizeBytes: 100 * CLUSTER, thin: true });
  const { actor, blob: its } = await yard.actorIn(blob.id);
  const word = new Int32Array(new SharedArrayBuffer(4));
  const flushing = actor.do('flushWhileWriting', its, 300, word);
  expect(Atomics.wait(word, 0, 0, 10_000)).not.toBe('timed-out'); // blocks the metadata thread, so that it answers nothing before
  const snapshot = await blob.snapshot();
  await flushing;
  expect([snapshot.sizeBytes, blob.parent]).toEqual([100 * CLUSTER, snapshot.id]);
  expectFilled(await blob.read(0, CLUSTER), 1);
});

test('a synchronous call is EBUSY while the thread is inside a blob by another channel of the same store', async () => {
  const yard = await ThreadYard.open();
  const blob = await yard.store.create({ sizeBytes: 8 * CLUSTER, thin: true });
  const { actor, blob: first } = await yard.actorIn(blob.id);
  const again = await actor.do('attach', yard.handleWith({}));
  const second = await actor.do('open', blob.id, again.store);
  expect(await actor.do('syncWhileInside', first, second.blob, blob.id, again.store)).toEqual(ALL_BUSY);
  await actor.do('closeSync', second.blob); // afterwards it succeeds
  await actor.do('detach', again.store);
});

test.each(['the same channel', 'another channel'])(
  'a synchronous call is EBUSY while the thread follows long work by %s',
  async (channel) => {
    const yard = await ThreadYard.open();
    const blob = await yard.store.create({ sizeBytes: 8 * CLUSTER, thin: true });
    const { actor, blob: inflated } = await yard.actorIn(blob.id);
    const store = channel === 'the same channel' ? 0 : (await actor.do('attach', yard.handleWith({}))).store;
    const other = await actor.do('open', blob.id, store);
    expect(await actor.do('syncWhileFollowing', inflated, other.blob, blob.id, store)).toEqual(ALL_BUSY);
    await actor.do('closeSync', other.blob);
  },
);

test('the metadata thread wakes up although a thread has died in the middle of waking it', async () => {
  const yard = await ThreadYard.open();
  const blob = await yard.store.create({ sizeBytes: CLUSTER });
  const [dying, other] = [await yard.actor(), await yard.actor()];
  const word = new Int32Array(new SharedArrayBuffer(4));
  void dying.do('stopWhileRinging', word);
  await until(() => Atomics.load(word, 0) === 1);
  await dying.kill();
  const { blob: its } = await other.do('open', blob.id); // no other thread wakes the metadata thread for it
  await other.do('close', its);
});

test('a store that is closed is not marked as failed afterwards', async () => {
  const yard = await ThreadYard.open();
  const shared = new SharedStore(yard.handle.buffers, 0);
  await yard.store.close();
  shared.markFailed(); // called by a thread that saw the store open, and then its metadata thread gone
  expect(shared.end).toBe(STORE_END.CLOSED);
});
