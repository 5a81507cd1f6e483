/** Shares a store of this thread with other threads, and serves them as their metadata thread. */

import { BlobstoreError } from '@blobyard/core';
import type { StoreHandle } from '../api/store-handle.js';
import { specOfDevice } from '../devices/open-device.js';
import { MailboxServer } from '../mailbox/mailbox-server.js';
import type { MailboxHooks } from '../mailbox/requests.js';
import { makeStoreHandle, servedHere } from '../mailbox/store-handle.js';
import { shutOut } from '../threads/shut-out.js';
import type { StoreContext } from './store-context.js';

/** Metadata thread. Sharing begins when `handle` is first read. */
export class Sharing {
  readonly #context: StoreContext;
  readonly #serviceFor: MailboxHooks['serviceFor'];
  readonly #shareWindow: number | undefined;
  #shared: { readonly handle: StoreHandle; readonly server: MailboxServer } | undefined;

  /**
   * @param serviceFor - makes the service for one other thread
   * @param shareWindow - where other threads take their shares of the lock on the store's file
   */
  constructor(context: StoreContext, serviceFor: MailboxHooks['serviceFor'], shareWindow: number | undefined) {
    this.#context = context;
    this.#serviceFor = serviceFor;
    this.#shareWindow = shareWindow;
  }

  /** The handle by which other threads attach. Throws ENOTSUP if they cannot open the device. */
  get handle(): StoreHandle {
    this.#shared ??= this.#begin();
    return this.#shared.handle;
  }

  /** Cleans up after a dead thread that had a row, for callers that learn of its end before the server does. */
  async endDead(row: number): Promise<void> {
    await this.#shared?.server.endDead(row);
  }

  /**
   * Long work no longer waits for attached threads to see its progress: they may be blocked, and the store is about to
   * close.
   */
  unpace(): void {
    this.#shared?.server.unpace();
  }

  /** Closes the blobs that attached threads have open. */
  async evict(): Promise<void> {
    await this.#shared?.server.evictAll();
  }

  /** Stops serving. The store has ended, or is about to end. */
  stop(): void {
    this.#shared?.server.stop();
  }

  /** Called after `stop`, when the store has ended. Resolves when no other thread can write to the device any more. */
  async shutOut(): Promise<void> {
    if (this.#shared === undefined) return;
    servedHere.delete(this.#shared.handle.name);
    this.#shared = undefined;
    await shutOut(this.#context.blobstore.shared, this.#shareWindow);
  }

  #begin(): { handle: StoreHandle; server: MailboxServer } {
    const { blobstore, device } = this.#context;
    const spec = specOfDevice(device);
    if (spec === undefined) {
      const advice = "open the store on a device spec of kind 'memory', 'file' or 'custom'";
      throw new BlobstoreError('ENOTSUP', `other threads cannot reach the device of this store: ${advice}`);
    }
    const handle = makeStoreHandle(blobstore, spec, this.#shareWindow);
    const server = new MailboxServer(blobstore, handle.mailboxes, handle.name, {
      serviceFor: this.#serviceFor,
      specOf: specOfDevice,
      onBug: (error) => {
        throw error; // an uncaught exception ends the process: the state can no longer be trusted
      },
    });
    servedHere.add(handle.name);
    void server.run();
    return { handle, server };
  }
}
