/** What pool mode is made of in tests. */

import type { PooledParts } from '../../../packages/workers/dist/threads/open-pooled.js';
import type { ServiceClient } from '../../../packages/workers/dist/threads/service-client.js';
import { startMessagePlane } from './message-plane.js';
import type { DeathWish } from './message-plane-worker.js';

/** The data plane of tests, with the metadata worker that serves it. */
export const MESSAGE_PARTS: PooledParts = {
  metadataWorker: new URL('../../dist/threads/message-plane-worker.js', import.meta.url),
  startDataPlane: startMessagePlane,
};

/** The same, for tests that look at the metadata worker of the store that is opened with them. */
export class WatchedParts implements PooledParts {
  readonly metadataWorker = MESSAGE_PARTS.metadataWorker;
  readonly startDataPlane: PooledParts['startDataPlane'];
  /** What happened, in order. */
  readonly events: string[] = [];
  #metadata: ServiceClient | undefined;

  constructor() {
    this.startDataPlane = async (needs) => {
      this.#metadata = needs.metadata;
      const plane = await startMessagePlane(needs);
      return {
        channel: plane.channel,
        syncChannel: () => plane.syncChannel(),
        onMetadataDeath: (error) => {
          this.events.push('plane told of death');
          plane.onMetadataDeath(error);
        },
        stop: () => {
          this.events.push('plane stopped');
          return plane.stop();
        },
      };
    };
  }

  get metadata(): ServiceClient {
    if (this.#metadata === undefined) throw new Error('no store was opened with these parts');
    return this.#metadata;
  }

  /** False once the thread has ended. */
  get isWorkerThere(): boolean {
    return this.metadata.worker.threadId !== -1;
  }

  kill(how: DeathWish['die'] | 'terminate'): void {
    if (how === 'terminate') void this.metadata.worker.terminate();
    else this.metadata.worker.postMessage({ die: how } satisfies DeathWish);
  }
}
