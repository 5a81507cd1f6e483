/** The metadata plane of a store in pool mode: an inline store on the metadata worker, which its client opens and closes. */

import { BlobstoreError, run } from '@blobyard/core';
import type { FoundBlob } from '../api/store.js';
import type { InlineStore } from '../inline/inline-store.js';
import { holdShared } from '../inline/open-device.js';
import { createInline, openInline } from '../inline/open-inline.js';
import type { ClientCallbacks } from './client-callbacks.js';
import type { ExternalAnswer, Followed, OpenedStore, StorePlan } from './metadata-protocol.js';
import { StoreService } from './store-service.js';
import { toWire } from './wire-error.js';

export class MetadataService extends StoreService {
  readonly #onOpened: ((store: InlineStore, service: MetadataService) => void) | undefined;
  #store: InlineStore | undefined;

  /** @param onOpened - called with the store before the client knows of it */
  constructor(callbacks: ClientCallbacks, onOpened?: (store: InlineStore, service: MetadataService) => void) {
    super(callbacks);
    this.#onOpened = onOpened;
  }

  /** Makes or opens the store of this worker. Once. */
  openStore(plan: StorePlan, followed: Followed): Promise<OpenedStore> {
    return this.callbacks.follow(followed, async ({ signal }) => {
      const found: FoundBlob[] = [];
      this.#store = await this.#open(plan, signal, (blob) => found.push(blob));
      this.#store.on('low-space', (lowSpace) => this.callbacks.lowSpace(lowSpace));
      this.#onOpened?.(this.#store, this);
      return {
        handle: this.#store.share(),
        damaged: this.#store.damaged.map(({ id, error }) => ({ id, error: toWire(error) })),
        found,
      };
    });
  }

  async close(): Promise<void> {
    await this.#store?.close();
  }

  async destroy(): Promise<void> {
    await this.#store?.destroy();
  }

  /** Lets go of the store as it is: the next to open it recovers it. */
  async abandon(): Promise<void> {
    if (this.#store === undefined) return;
    const { blobstore } = this.#store.engine;
    if (!blobstore.isClosed) await run(blobstore.abandon());
    await this.#store.close();
  }

  /** The thread that had a row of the channel table is dead: what it had is given back. */
  async endDead(row: number): Promise<void> {
    await this.#store?.endDead(row);
  }

  async answerExternal(request: number, answer: ExternalAnswer): Promise<void> {
    this.callbacks.answerExternal(request, answer);
  }

  protected get opened(): InlineStore {
    if (this.#store !== undefined) return this.#store;
    throw new BlobstoreError('EBADF', 'the metadata worker has no store open');
  }

  async #open(
    plan: StorePlan,
    signal: AbortSignal | undefined,
    onBlob: (blob: FoundBlob) => void,
  ): Promise<InlineStore> {
    const find = (wanted: { blobId: bigint; snapshotId: Uint8Array }) => this.callbacks.findExternal(wanted);
    const openExternalSnapshot = plan.findsExternal ? find : undefined;
    const { requestsMax, lowSpaceBytes, syncIntervalMs } = plan;
    const held = await holdShared(plan.device, plan.shareWindow); // the client has the lock
    try {
      if (plan.kind === 'create') {
        const init = { ...plan.init, openExternalSnapshot };
        return await createInline(held, { init, requestsMax, lowSpaceBytes, syncIntervalMs });
      }
      const load = { ...plan.load, openExternalSnapshot };
      return await openInline(held, {
        load,
        requestsMax,
        lowSpaceBytes,
        syncIntervalMs,
        grow: plan.grow,
        signal,
        onBlob,
      });
    } catch (error) {
      await held.release();
      throw error;
    }
  }
}
