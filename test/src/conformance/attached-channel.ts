/** A channel on a thread that has attached to the store, and executes the operations itself. */

import type { Blob } from '@blobyard/core';
import type { DataOperation } from './data-operation.js';
import type { ServedStore } from './served-store.js';
import type { ThreadChannel } from './threaded-engine.js';
import type { Answer } from './trace.js';
import { succeeded, type TraceThreads } from './trace-threads.js';

/** Makes the thread of channel `index` attach to a store. Returns the channel. */
export async function openAttached(threads: TraceThreads, index: number, store: ServedStore): Promise<ThreadChannel> {
  succeeded(await threads.ask(index, { kind: 'attach', handle: store.handle }));
  return {
    execute({ back, slot, generation }: Blob, operation: DataOperation): Promise<Partial<Answer>> {
      const blocking = !reachesExternal(back);
      return threads.ask(index, { kind: 'execute', blob: { slot, generation }, operation, blocking });
    },
    async close() {
      succeeded(await threads.ask(index, { kind: 'detach' }));
    },
  };
}

/**
 * True if a blob reads from an external snapshot. Another thread must first load the module that opens its device, so
 * the operation cannot be synchronous.
 */
function reachesExternal(behind: Blob['back']): boolean {
  let back = behind;
  while (back?.kind === 'blob') back = back.blob.back;
  return back?.kind === 'external';
}
