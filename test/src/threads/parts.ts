/** What pool mode is made of in tests. */

import { startDataPlane } from '../../../packages/workers/dist/metadata-thread/data-plane.js';
import type { PooledParts } from '../../../packages/workers/dist/metadata-thread/open-pooled.js';
import type { ServiceClient } from '../../../packages/workers/dist/metadata-thread/service-client.js';
import type { DeathWish } from './mortal-metadata-worker.js';

/** As in earnest, with a metadata worker that can be told to die. */
export const MORTAL_PARTS: PooledParts = {
  metadataWorker: () => new URL('../../dist/threads/mortal-metadata-worker.js', import.meta.url),
  startDataPlane,
};

/** The same, for tests that look at the metadata worker of the store that is opened with them. */
export class WatchedParts implements PooledParts {
  readonly metadataWorker: PooledParts['metadataWorker'] = MORTAL_PARTS.metadataWorker;
  readonly startDataPlane: PooledParts['startDataPlane'];
  /** What happened, in order. */
  readonly events: string[] = [];
  #metadata: ServiceClient | undefined;

  constructor() {
    this.startDataPlane = async (needs) => {
      this.#metadata = needs.metadata;
      const plane = await startDataPlane(needs);
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
