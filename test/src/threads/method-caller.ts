/** A thread that calls methods of the metadata thread, whose part a test plays, and posts the answers. */

import { parentPort, workerData } from 'node:worker_threads';
import { SharedStore, type SharedStoreBuffers } from '@blobyard/core';
import { CallClient } from '../../../packages/workers/dist/mailbox/call-client.js';
import { MailboxClient } from '../../../packages/workers/dist/mailbox/mailbox-client.js';
import { KeepAlive } from '../../../packages/workers/dist/threads/keep-alive.js';

export interface CallerOfMethods {
  readonly buffers: SharedStoreBuffers;
  readonly mailboxes: SharedArrayBuffer;
  readonly row: number;
  readonly name: string;
  /** The forms of the calls. They are made in order; calls in promise form do not wait for each other. */
  readonly forms: readonly ('block' | 'promise')[];
}

const { buffers, mailboxes, row, name, forms } = workerData as CallerOfMethods;
const shared = SharedStore.ofRow(buffers, row);
const mailbox = new MailboxClient(shared, mailboxes, row);
const calls = new CallClient<{ method(): Promise<unknown> }>({ shared, mailbox, mailboxes, row, name });
const keepAlive = new KeepAlive();
keepAlive.begin();
await Promise.all(
  forms.map(async (form) => {
    const call = calls.call('method');
    parentPort?.postMessage(form === 'block' ? call.block() : await call.promise());
  }),
);
keepAlive.end();
calls.close();
