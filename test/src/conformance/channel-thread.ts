/**
 * The thread of a channel of the traces. It attaches to one store after another, or is an I/O worker of one. See
 * `trace-threads.ts`.
 */

import { parentPort } from 'node:worker_threads';
import { assert, BlobstoreError } from '@blobyard/core';
import { attach, type Store } from '@blobyard/workers';
import { begin, end } from '../../../packages/workers/dist/io-pool/serve-io.js';
import { perform, synchronous } from './data-operation.js';
import type { Answer } from './trace.js';
import type { ThreadAnswer, ThreadRequest } from './trace-threads.js';

let attached: Store | undefined;

async function answer(request: ThreadRequest): Promise<ThreadAnswer> {
  try {
    return { rc: 0, ...(await execute(request)) };
  } catch (error) {
    if (error instanceof BlobstoreError) return { rc: error.errno };
    return { bug: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

async function execute(request: ThreadRequest): Promise<Partial<Answer>> {
  switch (request.kind) {
    case 'attach':
      assert(attached === undefined, 'a thread attaches that has not detached');
      attached = await attach(request.handle);
      return {};
    case 'execute': {
      assert(attached !== undefined, 'a thread has something to do before it has attached');
      const { channel, ioUnitBytes } = attached;
      const port = request.blocking ? synchronous(channel) : channel;
      return perform(port, request.blob, ioUnitBytes, request.operation);
    }
    case 'detach':
      await attached?.close();
      attached = undefined;
      return {};
    case 'serve':
      await begin(request.task);
      return {};
    case 'retire':
      await end();
      return {};
  }
}

parentPort?.on('message', (request: ThreadRequest) => {
  void answer(request).then((message) => parentPort?.postMessage(message));
});
