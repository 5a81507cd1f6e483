/** A store to which other threads attach. This thread is its metadata thread. */

import { type Blobstore, type BlockDevice, type Blob as EngineBlob, run } from '@blobyard/core';
import type { DeviceSpec, MemoryDevice } from '@blobyard/io';
import type { StoreHandle } from '@blobyard/workers';
import { OpenHandles, type Reference } from '../../../packages/workers/dist/local/open-handles.js';
import { MailboxServer } from '../../../packages/workers/dist/mailbox/mailbox-server.js';
import type { RowService } from '../../../packages/workers/dist/mailbox/row-client.js';
import { makeStoreHandle } from '../../../packages/workers/dist/mailbox/store-handle.js';

export class ServedStore {
  /** The handle with which other threads attach. */
  readonly handle: StoreHandle;
  readonly #server: MailboxServer;

  constructor(store: Blobstore, device: MemoryDevice) {
    this.handle = makeStoreHandle(store, device.spec);
    this.#server = new MailboxServer(store, this.handle.mailboxes, this.handle.name, {
      serviceFor: () => serviceOf(store),
      specOf: (opened: BlockDevice & { readonly spec?: DeviceSpec }) => opened.spec,
      onBug: (error) => {
        throw error; // ends the process: the state of the store is unknown now
      },
    });
    void this.#server.run();
  }

  stop(): void {
    this.#server.stop();
  }
}

/** The service for attached threads: it opens, flushes and closes blobs, and has no methods that can be called. */
function serviceOf(store: Blobstore): RowService {
  const handles = new OpenHandles<Reference & { flush(): Promise<void> }>();
  const referenceTo = (blob: EngineBlob) => ({
    close: () => run(store.closeBlob(blob)),
    drop: () => run(store.dropBlob(blob)),
    flush: () => run(store.flushBlob(blob)),
  });
  return {
    method: () => undefined,
    open: async (id) => {
      const blob = await run(store.openBlob(id));
      const { slot, generation } = blob;
      return { handle: handles.add(referenceTo(blob)), id, name: undefined, slot, generation };
    },
    close: async (handle) => {
      if (handles.has(handle)) await handles.close(handle);
    },
    flush: (handle) => handles.get(handle).flush(),
    closeAll: () => handles.closeAll(),
    dropAll: () => handles.dropAll(),
  };
}
