/** A channel on the thread of an I/O worker, which gets its operations through a ring. */

import { MessageChannel } from 'node:worker_threads';
import type { Blob } from '@blobyard/core';
import type { MemoryDevice } from '@blobyard/io';
import { RingClient } from '../../../packages/workers/dist/io-pool/rings/ring-client.js';
import { type DataOperation, perform } from './data-operation.js';
import type { ServedStore } from './served-store.js';
import type { ThreadChannel } from './threaded-engine.js';
import type { Answer } from './trace.js';
import { succeeded, type TraceThreads } from './trace-threads.js';

/**
 * Makes the thread of channel `index` an I/O worker of a store. The client of its ring has no other worker, so that all
 * operations of the channel go to this thread.
 */
export async function openRing(
  threads: TraceThreads,
  index: number,
  { handle }: ServedStore,
  { memory }: MemoryDevice,
): Promise<ThreadChannel> {
  const { ioUnitBytes } = handle.geometry;
  const client = new RingClient({ ioUnitBytes, deviceMemory: memory });
  const ring = client.createRing();
  const { port1, port2 } = new MessageChannel();
  succeeded(await threads.ask(index, { kind: 'serve', task: { handle, ring, port: port2 } }, [port2]));
  const lane = client.addWorker(ring, port1);
  return {
    execute(blob: Blob, operation: DataOperation): Promise<Partial<Answer>> {
      return perform(client, blob, ioUnitBytes, operation);
    },
    async close() {
      await client.removeWorker(lane);
      succeeded(await threads.ask(index, { kind: 'retire' }));
    },
  };
}
