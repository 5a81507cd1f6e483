/** The metadata worker's connection to its client. */

import { workerData } from 'node:worker_threads';
import { expose } from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import { ClientCallbacks } from '../calls/client-callbacks.js';
import { enveloped } from '../calls/envelopes.js';
import type { LocalStore } from '../local/local-store.js';
import type { MetadataWorkerData } from './metadata-protocol.js';
import { workerService } from './worker-service.js';

/**
 * Serves the client that has started this thread, until the client ends the thread.
 * @param onOpened - called once with the store, before the client is told that it is open
 */
export function serveMetadata(onOpened?: (store: LocalStore) => void): void {
  const { service, events } = workerData as MetadataWorkerData;
  expose(enveloped(workerService(new ClientCallbacks(events), onOpened)), nodeEndpoint(service));
}
