/** The service of a metadata worker for its client: opens a store, executes calls on it, and ends it. */

import { BlobstoreError } from '@blobyard/core';
import type { FoundBlob } from '../api/store.js';
import type { ClientCallbacks } from '../calls/client-callbacks.js';
import { type MetadataCalls, metadataCalls } from '../calls/metadata-calls.js';
import type { ExternalAnswer, Followed } from '../calls/service-events.js';
import { holdShared } from '../devices/open-device.js';
import type { LocalStore } from '../local/local-store.js';
import { MetadataService } from '../local/metadata-service.js';
import { createLocal, openLocal } from '../local/open-local.js';
import type { StoreEnding } from '../ports/store-parts.js';
import type { OpenedStore, StorePlan } from './metadata-protocol.js';

/** The methods that the client calls. */
export interface WorkerService extends MetadataCalls {
  /** Creates or opens the store of this worker. To be called once. */
  openStore(plan: StorePlan, followed: Followed): Promise<OpenedStore>;
  endStore(ending: StoreEnding): Promise<void>;
  /** Releases the store without closing it: opening it again recovers it. */
  abandon(): Promise<void>;
  /** The thread that had a row of the channel table is dead: takes back what it had. */
  endDead(row: number): Promise<void>;
  abort(call: number): Promise<void>;
  seen(call: number, isRefused: boolean): Promise<void>;
  answerExternal(request: number, answer: ExternalAnswer): Promise<void>;
}

/** @param onOpened - called with the store, before the client is told that it is open */
export function workerService(callbacks: ClientCallbacks, onOpened?: (store: LocalStore) => void): WorkerService {
  let store: LocalStore | undefined;
  let client: MetadataService | undefined;
  const opened = () => {
    if (client !== undefined) return client;
    throw new BlobstoreError('EBADF', 'the metadata worker has no store open: open the store first');
  };
  return {
    ...metadataCalls(opened, callbacks),
    openStore: (plan, followed) =>
      callbacks.follow(followed, async ({ signal }) => {
        const found: FoundBlob[] = [];
        store = await openPlanned(plan, callbacks, signal, (blob) => found.push(blob));
        client = new MetadataService(store);
        store.onEvent((event) => callbacks.storeEvent(event));
        onOpened?.(store);
        return { handle: store.sharing.handle, found };
      }),
    endStore: async (ending) => store?.end(ending),
    abandon: async () => store?.abandon(),
    endDead: async (row) => store?.sharing.endDead(row),
    abort: async (call) => callbacks.abort(call),
    seen: async (call, isRefused) => callbacks.seen(call, isRefused),
    answerExternal: async (request, answer) => callbacks.answerExternal(request, answer),
  };
}

async function openPlanned(
  plan: StorePlan,
  callbacks: ClientCallbacks,
  signal: AbortSignal | undefined,
  onBlob: (blob: FoundBlob) => void,
): Promise<LocalStore> {
  const find = (wanted: { blobId: bigint; snapshotId: Uint8Array }) => callbacks.findExternal(wanted);
  const openExternalSnapshot = plan.findsExternal ? find : undefined;
  const { lowSpaceBytes, syncIntervalMs } = plan;
  const held = await holdShared(plan.device, plan.shareWindow); // the client has the lock
  try {
    if (plan.kind === 'create') {
      const init = { ...plan.init, openExternalSnapshot };
      return await createLocal(held, { init, lowSpaceBytes, syncIntervalMs });
    }
    const load = { ...plan.load, openExternalSnapshot };
    const { readOnly, grow } = plan;
    return await openLocal(held, { load, lowSpaceBytes, syncIntervalMs, readOnly, grow, signal, onBlob });
  } catch (error) {
    await held.release();
    throw error;
  }
}
