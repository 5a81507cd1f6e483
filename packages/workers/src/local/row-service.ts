/** The service for one attached thread: the same methods as for any other client. */

import type { ClientCallbacks } from '../calls/client-callbacks.js';
import { metadataCalls } from '../calls/metadata-calls.js';
import type { RowService } from '../mailbox/row-client.js';
import type { LocalStore } from './local-store.js';
import { MetadataService } from './metadata-service.js';

type Method = (...given: readonly unknown[]) => Promise<unknown>;

/** @param callbacks - report the progress of long work to the thread */
export function rowService(store: LocalStore, callbacks: ClientCallbacks): RowService {
  const service = new MetadataService(store);
  const calls = metadataCalls(() => service, callbacks) as unknown as Record<string, Method>;
  return {
    method: (name) => (Object.hasOwn(calls, name) ? calls[name] : undefined),
    open: (id) => service.open(id, {}),
    close: async (handle) => {
      if (service.handles.has(handle)) await service.closeHandle(handle); // if not there, the store has closed it
    },
    flush: (handle) => service.flushBlob(handle),
    closeAll: () => service.handles.closeAll(),
    dropAll: () => service.handles.dropAll(),
  };
}
