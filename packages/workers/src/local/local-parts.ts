/** The parts of a store in inline mode: metadata and data are on the calling thread. */

import type { Channel } from '@blobyard/core';
import type { StoreHandle } from '../api/store-handle.js';
import { operationTurns } from '../data/loop-turns.js';
import { ownChannelPort } from '../data/own-channel.js';
import {
  type EngineAccess,
  type StoreEnding,
  type StoreListener,
  type StoreParts,
  tellOf,
} from '../ports/store-parts.js';
import type { LocalStore } from './local-store.js';
import { MetadataService } from './metadata-service.js';

/** @param requestsMax - the most requests that the channel is given at once */
export function localParts(store: LocalStore, requestsMax: number): StoreParts {
  return new LocalParts(store, requestsMax);
}

class LocalParts implements StoreParts {
  readonly title = 'the store';
  readonly metadata: MetadataService;
  readonly sync: StoreParts['sync'];
  readonly data: StoreParts['data'];
  readonly shared: StoreParts['shared'];
  readonly geometry: StoreParts['geometry'];
  readonly device: StoreParts['device'];
  readonly damaged: StoreParts['damaged'];
  readonly isReadOnly: boolean;
  readonly engine: EngineAccess;
  readonly busy = undefined; // work on this thread keeps the event loop alive by itself
  readonly turns = operationTurns;
  readonly nameOf: (id: bigint) => string | undefined;
  readonly #store: LocalStore;
  #engineChannel: Channel | undefined;

  constructor(store: LocalStore, requestsMax: number) {
    const { blobstore, channel, catalogue } = store.context;
    const { geometry, device, shared } = blobstore;
    const isSynchronous = device.synchronous;
    this.#store = store;
    this.metadata = new MetadataService(store);
    this.sync = this.metadata.sync;
    this.data = ownChannelPort(channel, geometry, { requestsMax, isSynchronous, isAtOnce: isSynchronous });
    this.shared = shared;
    this.geometry = geometry;
    this.device = device;
    this.damaged = store.damaged;
    this.isReadOnly = store.isReadOnly;
    this.nameOf = (id) => catalogue.nameOf(id);
    this.engine = {
      store: () => ({ blobstore: this.#store.context.blobstore }),
      blob: (handle) => this.metadata.engineBlob(handle),
    };
  }

  get underWay(): Readonly<Record<'operations' | 'frozen', number>> {
    const { outstanding, frozenDepth } = this.#store.context.channel;
    return { operations: outstanding, frozen: frozenDepth };
  }

  get state(): StoreParts['state'] {
    return this.#store.state;
  }

  listen(listener: StoreListener): void {
    this.#store.onEvent((event) => tellOf(event, listener));
  }

  share(): StoreHandle {
    return this.#store.sharing.handle;
  }

  beginEnd(): void {
    this.#store.sharing.unpace();
  }

  end(ending: StoreEnding, failure: { readonly error: unknown } | undefined): Promise<void> {
    return this.#store.end(ending, failure);
  }

  /** Separate from the channel of the API. Opened at its first use, and closed with the store. */
  readonly channel = (): Channel => {
    this.#engineChannel ??= this.#store.context.blobstore.openChannel();
    return this.#engineChannel;
  };
}
