/** A store that this thread serves to other threads as their metadata thread. */

import { type Blobstore, type BlockDevice, run } from '@blobyard/core';
import type { DeviceSpec, MemoryDevice } from '@blobyard/io';
import type { StoreHandle } from '@blobyard/workers';
import { MailboxServer } from '../../../packages/workers/dist/mailbox/mailbox-server.js';
import { makeStoreHandle } from '../../../packages/workers/dist/mailbox/store-handle.js';

export class ServedStore {
  /** What other threads attach by. */
  readonly handle: StoreHandle;
  readonly #server: MailboxServer;

  constructor(store: Blobstore, device: MemoryDevice) {
    this.handle = makeStoreHandle(store, device.spec);
    this.#server = new MailboxServer(store, this.handle.mailboxes, this.handle.name, {
      open: (id) => run(store.openBlob(id)),
      close: (blob) => run(store.closeBlob(blob)),
      drop: (blob) => run(store.dropBlob(blob)),
      flush: (blob) => run(store.flushBlob(blob)),
      specOf: (opened: BlockDevice & { readonly spec?: DeviceSpec }) => opened.spec,
      onBug: (error) => {
        throw error; // to the process: nothing can be relied on any more
      },
    });
    void this.#server.run();
  }

  stop(): void {
    this.#server.stop();
  }
}
