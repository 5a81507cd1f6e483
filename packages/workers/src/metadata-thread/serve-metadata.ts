/** Serves a client from a metadata worker. */

import { workerData } from 'node:worker_threads';
import { expose } from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import type { InlineStore } from '../local/inline-store.js';
import { ClientCallbacks } from './client-callbacks.js';
import { enveloped } from './envelopes.js';
import type { MetadataWorkerData } from './metadata-protocol.js';
import { MetadataService } from './metadata-service.js';

/**
 * Serves the client that has started this thread, until it ends the thread.
 * @param onOpened - called once, with the store, before the client knows that it is open
 */
export function serveMetadata(onOpened?: (store: InlineStore, service: MetadataService) => void): void {
  const { service, events } = workerData as MetadataWorkerData;
  expose(enveloped(new MetadataService(new ClientCallbacks(events), onOpened)), nodeEndpoint(service));
}
