/** Forces the race between the notification of one answer and the sleep for the next answer in the same slot. */

import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { SharedStore } from '@blobyard/core';
import { expect, onTestFinished, test } from 'vitest';
import { allocateMailboxes, Mailbox, SLOT, STATE } from '../../../packages/workers/dist/mailbox/mailbox.js';
import type { CallerData } from './mailbox-caller.js';

const CALLER = new URL('../../dist/threads/mailbox-caller.js', import.meta.url);
const ROW = 3;
const TURN_MS = 5;

/** Notifies a word until a thread was woken: then this thread had been sleeping on the word. */
async function wakeSleeper(words: Int32Array, at: number): Promise<void> {
  while (Atomics.notify(words, at) === 0) await sleep(TURN_MS);
}

test('a synchronous request goes on sleeping when it is woken before its answer has come', async () => {
  const { buffers } = SharedStore.create({ clusterCount: 8, clusterCountMax: 8, mdPageCount: 8 }, 0);
  const mailboxes = allocateMailboxes();
  const data: CallerData = { buffers, mailboxes, row: ROW };
  const caller = new Worker(CALLER, { workerData: data });
  onTestFinished(async () => {
    await caller.terminate();
  });
  const answered = once(caller, 'message');
  const mailbox = new Mailbox(mailboxes, ROW);
  const { words } = mailbox;
  while (Atomics.load(words, mailbox.submittedAt) === 0) await sleep(TURN_MS);
  const slot = mailbox.slotAt(words[mailbox.ringAt(0)]);

  await wakeSleeper(words, slot + SLOT.STATE); // the late notification of an answer that was seen before
  await wakeSleeper(words, slot + SLOT.STATE); // the thread was sleeping again

  words[slot + SLOT.ERRNO] = 0;
  words[slot + SLOT.RESULTS] = 7;
  words[slot + SLOT.RESULTS + 1] = 8;
  Atomics.store(words, slot + SLOT.STATE, STATE.DONE);
  Atomics.notify(words, slot + SLOT.STATE);
  expect(await answered).toMatchObject([{ first: 7, second: 8 }]);
});
