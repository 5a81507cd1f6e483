/** The parts of a store in pool mode: metadata by a metadata worker, data by I/O workers. */

import { BlobstoreError, Geometry, SharedStore } from '@blobyard/core';
import type { Damage, StoreEvents } from '../api/store.js';
import type { StoreHandle } from '../api/store-handle.js';
import { metadataByCalls } from '../calls/metadata-calls.js';
import type { DataPort } from '../data/data-port.js';
import { RequestWay } from '../data/request-way.js';
import type { HeldDevice } from '../devices/open-device.js';
import type { IoThreads } from '../io-pool/io-threads.js';
import { damagedIn } from '../mailbox/store-handle.js';
import { type MetadataPort, noSyncMetadata } from '../ports/metadata-port.js';
import { type StoreEnding, type StoreListener, type StoreParts, tellOf } from '../ports/store-parts.js';
import { atProcessEnd } from '../threads/process-end.js';
import { shutOut } from '../threads/shut-out.js';
import type { DataPlane, StartDataPlane } from './data-plane.js';
import type { ServiceClient } from './service-client.js';

/**
 * The client's thread number in shared structures. No lock has it as its owner: the client only reads the structures,
 * and marks the end of the store there.
 */
const CLIENT_THREAD = 0;

/** What exists before a store's data plane is started. All of it ends with the store. */
export interface PoolBeginnings {
  /** Connected to the metadata worker, which has the store open. */
  readonly client: ServiceClient;
  readonly held: HeldDevice;
  readonly handle: StoreHandle;
  /** The number of I/O workers, and their threads. */
  readonly workers: number;
  readonly threads: IoThreads;
}

export class PoolParts implements StoreParts {
  readonly title = 'the store';
  readonly metadata: MetadataPort;
  readonly sync = noSyncMetadata('in a store with `threads` the calling thread cannot block for the metadata worker');
  readonly data: DataPort;
  readonly shared: SharedStore;
  readonly geometry: Geometry;
  readonly device: StoreParts['device'];
  readonly damaged: readonly Damage[];
  readonly isReadOnly: boolean;
  readonly engine = undefined;
  readonly channel = undefined;
  readonly busy: StoreParts['busy'];
  readonly turns = undefined; // each operation waits for another thread, so the event loop turns anyway
  readonly nameOf = undefined;
  readonly #beginnings: PoolBeginnings;
  readonly #plane: DataPlane;
  readonly #events: StoreEventQueue;
  #forgetAtEnd: (() => void) | undefined;
  #state: StoreParts['state'] = 'open';

  private constructor(beginnings: PoolBeginnings, shared: SharedStore, plane: DataPlane, events: StoreEventQueue) {
    const { client, held, handle } = beginnings;
    const calls = metadataByCalls(client);
    this.#beginnings = beginnings;
    this.#plane = plane;
    this.#events = events;
    this.shared = shared;
    this.geometry = new Geometry(handle.geometry);
    this.device = held.device;
    this.damaged = damagedIn(handle);
    this.isReadOnly = handle.isReadOnly;
    this.busy = client.busy;
    this.metadata = {
      ...calls,
      closeHandle: async (number) => {
        if (this.#state !== 'ended') await calls.closeHandle(number);
      },
    };
    const bytes = held.device.takesBytes === true ? plane.channel : undefined;
    this.data = {
      channel: plane.channel,
      way: new RequestWay(plane.channel, bytes, this.geometry, this.isReadOnly),
      bytes,
      slots: undefined,
      parts: undefined,
      isAtOnce: false,
      isElsewhere: true,
      syncChannel: () => plane.syncChannel(),
    };
  }

  /** Starts the data plane. Throws the error of starting it; EIO if the metadata worker has died meanwhile. */
  static async start(beginnings: PoolBeginnings, startPlane: StartDataPlane): Promise<PoolParts> {
    const { client, held, handle, workers, threads } = beginnings;
    const shared = new SharedStore(handle.buffers, CLIENT_THREAD);
    const queue = new StoreEventQueue();
    const events = {
      lost: (...given: StoreEvents['worker-lost']) => queue.tell('worker-lost', ...given),
      replaced: (...given: StoreEvents['worker-replaced']) => queue.tell('worker-replaced', ...given),
    };
    const plane = await startPlane({ workers, threads, handle, shared, device: held.device, metadata: client, events });
    if (client.death !== undefined) {
      plane.onMetadataDeath(client.death);
      await Promise.allSettled([plane.stop()]);
      throw client.death;
    }
    return new PoolParts(beginnings, shared, plane, queue);
  }

  get underWay(): Readonly<Record<string, number>> {
    return this.#plane.underWay ?? {};
  }

  get state(): StoreParts['state'] {
    return this.#state;
  }

  listen(listener: StoreListener): void {
    const { client } = this.#beginnings;
    this.#events.listen(listener);
    client.onStoreEvent((event) => tellOf(event, listener));
    client.onDeath((error) => {
      this.#plane.onMetadataDeath(error);
      listener.failed(error);
    });
    // The metadata worker ends with the process, and is not told before.
    if (this.device.cacheOwner !== 'process') {
      this.#forgetAtEnd = atProcessEnd({ beforeExit: () => this.metadata.flush() });
    }
  }

  share(): StoreHandle {
    return this.#beginnings.handle;
  }

  beginEnd(): void {
    // Nothing to do: the metadata worker does it when it ends the store.
  }

  async end(ending: StoreEnding, failure: { readonly error: unknown } | undefined): Promise<void> {
    const { client } = this.#beginnings;
    this.#state = 'ending';
    try {
      if (failure) throw failure.error;
      await client.call('endStore', ending);
    } catch (error) {
      if (error instanceof BlobstoreError && error.code === 'EBUSY') {
        this.#state = 'open';
        throw error;
      }
      await Promise.allSettled([client.call('abandon')]);
      await this.#letGo();
      throw error;
    }
    await this.#letGo();
  }

  /** Ends the store's threads, waits until attached threads are shut out, and then releases the device. */
  async #letGo(): Promise<void> {
    const { client, held } = this.#beginnings;
    this.#forgetAtEnd?.();
    try {
      await this.#plane.stop();
    } finally {
      try {
        await client.end();
        await shutOut(this.shared, held.shareWindow);
      } finally {
        this.#state = 'ended';
        await held.release();
      }
    }
  }
}

/** Keeps events until there is a listener. */
class StoreEventQueue {
  #early: ((listener: StoreListener) => void)[] = [];
  #listener: StoreListener | undefined;

  tell<Name extends keyof StoreEvents>(name: Name, ...given: StoreEvents[Name]): void {
    if (this.#listener === undefined) this.#early.push((listener) => listener.event(name, ...given));
    else this.#listener.event(name, ...given);
  }

  listen(listener: StoreListener): void {
    this.#listener = listener;
    const early = this.#early;
    this.#early = [];
    if (early.length > 0) setImmediate(() => early.forEach((tell) => void tell(listener)));
  }
}
