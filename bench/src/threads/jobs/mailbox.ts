/** Round trips to the metadata thread, by requests and calls that do no work. */

import { threadId } from 'node:worker_threads';
import { ChannelTable } from '@blobyard/core';
import { openDevice } from '@blobyard/io';
import type { StoreHandle } from '@blobyard/workers';
import { RemoteHost } from '../../../../packages/workers/dist/attached/remote-host.js';
import { REQUEST } from '../../../../packages/workers/dist/mailbox/mailbox.js';
import { thisThread } from '../../../../packages/workers/dist/threads/thread-life.js';
import { forEachOperation, type Job, type MailboxAsk } from '../job.js';

/** @param pauseMs - pause in milliseconds before each request or call; 4 are enough for the metadata thread to sleep */
export async function mailboxJob(handle: StoreHandle, ask: MailboxAsk, pauseMs: number): Promise<Job> {
  const device = await openDevice(handle.device);
  const table = new ChannelTable(handle.buffers.channels);
  const row = table.claim(threadId);
  table.setThread(row, thisThread());
  const host = new RemoteHost(handle, device, row);
  const nothing = new Int32Array(new SharedArrayBuffer(4));
  const asks: Record<MailboxAsk, () => number> = {
    request: () => host.mailbox.request(REQUEST.RAISE_HIGH_WATER, 0).block().first,
    call: () => (host.calls.call('getSuperBlob').block() === undefined ? 0 : 1),
  };
  let waitedMs = 0;
  const run: Job['run'] = (share) => {
    let sum = 0;
    waitedMs = 0;
    forEachOperation(share, () => {
      if (pauseMs > 0) Atomics.wait(nothing, 0, 0, pauseMs);
      const begin = performance.now();
      const first = asks[ask]();
      waitedMs += performance.now() - begin;
      sum += 1 + first;
    });
    return sum;
  };
  const close = async () => {
    host.mailbox.request(REQUEST.LEAVE).block();
    await host.close();
    await device.close();
  };
  return { run, end: () => ({ waitedMs }), close };
}
