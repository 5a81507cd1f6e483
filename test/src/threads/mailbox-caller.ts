/** A thread that makes one request to the metadata thread, blocks until the answer, and posts the answer. */

import { parentPort, workerData } from 'node:worker_threads';
import { SharedStore, type SharedStoreBuffers } from '@blobyard/core';
import { REQUEST } from '../../../packages/workers/dist/mailbox/mailbox.js';
import { MailboxClient } from '../../../packages/workers/dist/mailbox/mailbox-client.js';

export interface CallerData {
  readonly buffers: SharedStoreBuffers;
  readonly mailboxes: SharedArrayBuffer;
  readonly row: number;
}

const { buffers, mailboxes, row } = workerData as CallerData;
const mailbox = new MailboxClient(SharedStore.ofRow(buffers, row), mailboxes, row);
parentPort?.postMessage(mailbox.request(REQUEST.RECLAIM).block());
