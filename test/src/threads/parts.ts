/** The parts of pool mode for tests. */

import { startDataPlane } from '../../../packages/workers/dist/metadata-thread/data-plane.js';
import type { PooledParts } from '../../../packages/workers/dist/metadata-thread/open-pooled.js';
import type { ServiceClient } from '../../../packages/workers/dist/metadata-thread/service-client.js';
import type { DeathWish } from './mortal-metadata-worker.js';

/** The real parts, except that the metadata worker can be told to die. */
export const MORTAL_PARTS: PooledParts = {
  metadataWorker: () => new URL('../../dist/threads/mortal-metadata-worker.js', import.meta.url),
  startDataPlane,
};

/** The same parts, which give a test access to the metadata worker of the store that is opened with them. */
export class WatchedParts implements PooledParts {
  readonly metadataWorker: PooledParts['metadataWorker'] = MORTAL_PARTS.metadataWorker;
  readonly startDataPlane: PooledParts['startDataPlane'];
  /** The events so far, in order. */
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

  /** False after the thread has ended. */
  get isWorkerThere(): boolean {
    return this.metadata.worker.threadId !== -1;
  }

  kill(how: DeathWish['die'] | 'terminate'): void {
    if (how === 'terminate') void this.metadata.worker.terminate();
    else this.metadata.worker.postMessage({ die: how } satisfies DeathWish);
  }
}
