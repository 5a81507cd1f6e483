/**
 * Calls of the metadata thread's methods by messages: none is lost or answered twice, whichever thread dies or ends.
 */

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { SharedStore } from '@blobyard/core';
import { expect, onTestFinished, test } from 'vitest';
import {
  CallPort,
  callChannelName,
  type ToMetadata,
  type ToRow,
} from '../../../packages/workers/dist/mailbox/call-port.js';
import { allocateMailboxes, Mailbox, SLOT, STATE } from '../../../packages/workers/dist/mailbox/mailbox.js';
import { codesOf, expectCode, manyTurns, until, watched } from './actors.js';
import { CallYard } from './call-yard.js';
import { Gate } from './gate.js';
import type { CallerOfMethods } from './method-caller.js';

const CALLER = new URL('../../dist/threads/method-caller.js', import.meta.url);
const ROW = 3;
const NAME = 'a store';

test('arguments and answers can be anything that can be posted, in both forms', async () => {
  const actor = await (await CallYard.open()).actor();
  const sent = {
    big: 2n ** 64n - 1n,
    bytes: Uint8Array.of(0, 255, 7),
    name: 'ä\0😀\ud800',
    nothing: undefined,
    options: { thin: true, xattrs: { one: 'x', two: Uint8Array.of(1) } },
    map: new Map([[1n, ['a']]]),
  };
  expect(await actor.do('callSync', 'echo', sent)).toEqual(sent);
  expect(await actor.do('call', 'echo', sent)).toEqual(sent);
  const memory = new SharedArrayBuffer(8);
  const back = (await actor.do('call', 'echo', { memory })) as { memory: SharedArrayBuffer };
  new Uint8Array(memory)[3] = 9;
  expect(new Uint8Array(back.memory)[3]).toBe(9);
});

test('answers can be of any size', async () => {
  const actor = await (await CallYard.open()).actor();
  for (const form of ['callSync', 'call'] as const) {
    const bytes = (await actor.do(form, 'big', 40 << 20)) as Uint8Array;
    expect([bytes.length, bytes[0], bytes.at(-1)]).toEqual([40 << 20, 7, 7]);
    const many = (await actor.do(form, 'many', 100_000)) as { id: bigint }[];
    expect([many.length, many[99_999].id]).toEqual([100_000, 99_999n]);
  }
});

test.each(['callSync', 'call'] as const)('errors keep code, message and cause: %s', async (form) => {
  const yard = await CallYard.open();
  const actor = await yard.actor();
  await expect(actor.do(form, 'fails')).rejects.toMatchObject({
    code: 'ENOSPC',
    message: 'no room: delete something',
    cause: { message: 'the disk is gone', code: 'ENODEV' },
  });
  for (const name of ['close', 'constructor', 'toString', '__proto__']) {
    await expectCode(actor.do(form, name), 'ENOTSUP');
  }
  await expectCode(actor.do('callUnposted', form === 'callSync'), 'EINVAL');
  expect(yard.bugs).toEqual([]);
  await expect(actor.do(form, 'breaks')).rejects.toThrow(/the test has one/);
  expect(yard.bugs).toHaveLength(1);
  expect(await actor.do(form, 'echo', 1)).toBe(1);
});

test('calls begin in the order in which they were made, synchronous ones included', async () => {
  const yard = await CallYard.open();
  const actor = await yard.actor();
  const orders = Array.from({ length: 5 }, (_, tag) => ['call', 'later', tag] as const);
  const answered = actor.together(...orders, ['callSync', 'later', 'sync'], ['call', 'later', 'last']);
  await until(() => yard.came.length === 6);
  expect(yard.came).toEqual([0, 1, 2, 3, 4, 'sync']);
  yard.held[5].answer();
  await until(() => yard.came.length === 7);
  yard.held[6].answer();
  for (const { answer } of yard.held.slice(0, 5).reverse()) answer();
  const values = (await answered).map((outcome) => 'value' in outcome && outcome.value);
  expect(values).toEqual([0, 1, 2, 3, 4, 'sync', 'last']);
});

test('more calls than a mailbox has slots can wait, and they occupy no slots', async () => {
  const yard = await CallYard.open();
  const actor = await yard.actor();
  const count = 300;
  const answered = actor.together(...Array.from({ length: count }, (_, tag) => ['call', 'later', tag] as const));
  await until(() => yard.came.length === count);
  yard.answerAll();
  expect((await answered).map((outcome) => 'value' in outcome && outcome.value)).toEqual([...Array(count).keys()]);
});

test('threads that make thousands of calls at once, in both forms, each get their own answers', async () => {
  const yard = await CallYard.open();
  const actors = await Promise.all([yard.actor(), yard.actor(), yard.actor()]);
  await Promise.all(actors.map((actor, at) => actor.do('echoes', at + 1, 3000)));
});

test('two stores of one thread do not disturb each other', async () => {
  const [one, other] = [await CallYard.open(), await CallYard.open()];
  const actor = await one.actor();
  await actor.do('attach', other.handle);
  const orders = [
    ['call', 'echo', 1],
    ['callOther', 'echo', 2],
    ['callSync', 'echo', 3],
  ] as const;
  const outcomes = await actor.together(...orders);
  expect(outcomes.map((outcome) => 'value' in outcome && outcome.value)).toEqual([1, 2, 3]);
});

test('a thread that gets a row gets no answers to calls of the row’s former thread', async () => {
  const yard = await CallYard.open();
  const first = await yard.actor();
  const { row } = first;
  await first.kill();
  const { channels } = yard.store.engine.blobstore.shared;
  await until(() => !channels.isTaken(row));
  for (let round = 0; round < 6; round++) {
    const actor = await yard.actor();
    expect(actor.row).toBe(row);
    const answered = actor.do('call', 'later', round);
    answered.catch(() => undefined);
    await until(() => yard.held.length === 1);
    if (round % 2 === 0) {
      const leaving = watched(actor.do('detach'));
      await manyTurns();
      expect(leaving.isSettled).toBe(false); // detaching waits for the call
      yard.answerAll();
      await leaving.promise;
      for (const form of ['call', 'callSync'] as const) await expectCode(actor.do(form, 'echo'), 'EBADF');
      await actor.kill();
    } else {
      await actor.kill();
      await manyTurns();
      yard.answerAll(); // the caller is gone
      await until(() => !channels.isTaken(row));
    }
  }
  expect(yard.dropped).toBe(3);
});

test('threads that die with calls in any state do not affect the calls of others', async () => {
  const yard = await CallYard.open();
  const [asleep, standing, other] = [await yard.actor(), await yard.actor(), await yard.actor()];
  asleep.do('callSync', 'later', 'asleep').catch(() => undefined);
  await until(() => yard.held.length === 1);
  await standing.do('call', 'echo', 1); // after this, calls of the thread are posted at once
  const gate = new Gate();
  gate.shut();
  void standing.together(['call', 'later', 'standing'], ['standStill', gate.buffer]);
  await until(() => yard.held.length === 2);
  yard.held[1].answer(); // the answer stays in the queue of the blocked thread
  await manyTurns();
  await Promise.all([asleep.kill(), standing.kill()]);
  yard.held[0].answer();
  const { channels } = yard.store.engine.blobstore.shared;
  await until(() => !channels.isTaken(asleep.row) && !channels.isTaken(standing.row));
  expect(await other.do('callSync', 'echo', 'still here')).toBe('still here');
  expect(yard.dropped).toBe(2);
});

test('calls under way, of both forms, fail when the store ends', async () => {
  const yard = await CallYard.open();
  const [one, two] = [await yard.actor(), await yard.actor()];
  const waiting = one.together(['call', 'later', 1], ['call', 'later', 2]);
  const stopped = two.together(['callSync', 'later', 3]);
  await until(() => yard.held.length === 3);
  yard.server.stop();
  yard.store.engine.blobstore.shared.markFailed();
  expect(codesOf([...(await waiting), ...(await stopped)])).toEqual(['EIO', 'EIO', 'EIO']);
  await expectCode(one.do('call', 'echo', 1), 'EIO');
  await expectCode(one.do('callSync', 'echo', 1), 'EIO');
});

test('a thread that has made a call, and has nothing more to do, ends', async () => {
  const actor = await (await CallYard.open()).actor();
  await actor.do('call', 'echo', 1);
  await actor.do('callSync', 'echo', 1);
  void actor.do('end');
  await actor.ended();
});

/** A thread that makes calls, and this thread in the place of the metadata thread. */
async function byHand(forms: CallerOfMethods['forms']) {
  const { buffers } = SharedStore.create({ clusterCount: 8, clusterCountMax: 8, mdPageCount: 8 }, 0);
  const mailboxes = allocateMailboxes();
  const mailbox = new Mailbox(mailboxes, ROW);
  const { words } = mailbox;
  const data: CallerOfMethods = { buffers, mailboxes, row: ROW, name: NAME, forms };
  const caller = new Worker(CALLER, { workerData: data });
  const answers: unknown[] = [];
  caller.on('message', (answer) => answers.push(answer));
  onTestFinished(async () => {
    await caller.terminate();
  });
  await until(() => Atomics.load(words, mailbox.submittedAt) === 1);
  expect(Atomics.load(words, mailbox.postedAt)).toBe(0); // the thread keeps its call until this side has joined
  const name = callChannelName(NAME, ROW);
  const port = new CallPort<ToRow, ToMetadata>(name, words, mailbox.toldAt, mailbox.postedAt);
  onTestFinished(() => port.close());
  return { caller, mailbox, words, port, answers };
}

function join({ words, mailbox }: { words: Int32Array; mailbox: Mailbox }): void {
  const slot = mailbox.slotAt(words[mailbox.ringAt(0)]);
  words[slot + SLOT.ERRNO] = 0;
  Atomics.store(words, slot + SLOT.STATE, STATE.DONE);
  Atomics.notify(words, slot + SLOT.STATE);
  Atomics.add(words, mailbox.doneAt, 1);
  Atomics.notify(words, mailbox.doneAt);
}

function answer(id: number, ok: unknown): ToRow {
  return { kind: 'answer', id, envelope: { ok } };
}

test('an answer that arrives before the thread looks for it needs no wake-up', async () => {
  const { port, answers, ...hand } = await byHand(['block']);
  port.post(answer(1, 'early')); // answers a call that is not sent yet
  join(hand);
  await once(hand.caller, 'exit');
  expect(answers).toEqual(['early']);
});

test('a sleeping thread goes on sleeping after a wake-up without an answer, or with another answer', async () => {
  const { port, answers, words, mailbox, caller } = await byHand(['block']);
  join({ words, mailbox });
  const wakeSleeper = () => until(() => Atomics.notify(words, mailbox.toldAt) > 0);
  await wakeSleeper();
  await wakeSleeper(); // it sleeps again
  port.post(answer(77, 'of a call that there never was'));
  await wakeSleeper();
  await wakeSleeper();
  port.post(answer(1, 'mine'));
  Atomics.notify(words, mailbox.toldAt);
  await once(caller, 'exit');
  expect(answers).toEqual(['mine']);
});

test('a promise is settled by its own answer, once, in whatever order answers come', async () => {
  const { port, answers, words, mailbox, caller } = await byHand(['promise', 'promise', 'promise']);
  join({ words, mailbox });
  await until(() => Atomics.load(words, mailbox.postedAt) === 3);
  expect([...port.take()].map((message) => message.kind === 'call' && message.id)).toEqual([1, 2, 3]);
  for (const [id, value] of [
    [3, 'three'],
    [1, 'one'],
    [1, 'one again'],
    [2, 'two'],
  ] as const) {
    port.post(answer(id, value));
    Atomics.notify(words, mailbox.toldAt);
    await manyTurns();
  }
  await once(caller, 'exit');
  expect(answers).toEqual(['three', 'one', 'two']);
});
