/** The data plane of a store in pool mode: I/O workers, and a channel of the calling thread for its `…Sync` calls. */

import { BlobstoreError, type BlockDevice, type SharedStore } from '@blobyard/core';
import type { StoreHandle } from '../api/store-handle.js';
import { closeRemoteChannel, openRemoteChannel, type RemoteChannel } from '../attached/remote-channel.js';
import type { ByteChannel, PromiseChannel, SyncChannel } from '../data/byte-io.js';
import { IoPool, type WorkerEvents } from '../io-pool/io-pool.js';
import type { IoThreads } from '../io-pool/io-threads.js';
import type { ServiceClient } from './service-client.js';

/** What a data plane needs to start. */
export interface DataPlaneNeeds {
  /** The number of I/O workers, from 1. */
  readonly workers: number;
  /** Their threads, which have been started. */
  readonly threads: IoThreads;
  readonly handle: StoreHandle;
  readonly shared: SharedStore;
  /** The device, open on this thread. It stays open until the plane has stopped. */
  readonly device: BlockDevice;
  /** The metadata worker, with the store open. */
  readonly metadata: ServiceClient;
  readonly events: WorkerEvents;
}

export interface DataPlane {
  /**
   * Takes any number of requests at once; some wait. A request never throws synchronously, and always settles. Requests
   * for ranges of bytes may be made only if the device takes them (`takesBytes`).
   */
  readonly channel: PromiseChannel & ByteChannel;
  /**
   * Counts of what is under way; each is 0 when the plane is idle. For tests. Undefined if the plane does not count.
   */
  readonly underWay?: Readonly<Record<string, number>>;
  /** The channel on the calling thread, created at the first call. ENOTSUP when the device is asynchronous. */
  syncChannel(): SyncChannel;
  /**
   * The metadata worker has died: requests under way and later ones fail with `error`. Called once, before calls fail.
   */
  onMetadataDeath(error: BlobstoreError): void;
  /** Ends the threads. Nothing may be under way in the channels, unless the metadata worker has died. */
  stop(): Promise<void>;
}

export type StartDataPlane = (needs: DataPlaneNeeds) => Promise<DataPlane>;

/** Lets the I/O threads of a store serve it. */
export const startDataPlane: StartDataPlane = async (needs) => {
  const { handle, workers, threads, device, metadata, events } = needs;
  const onDead = (row: number) => {
    metadata.call('endDead', row).catch(() => undefined); // the metadata worker has died too, or finds the dead thread by its own checks
  };
  return new PoolPlane(needs, await IoPool.start({ handle, workers, threads, device, events, onDead }));
};

class PoolPlane implements DataPlane {
  readonly #needs: DataPlaneNeeds;
  readonly #pool: IoPool;
  #own: RemoteChannel | undefined;

  constructor(needs: DataPlaneNeeds, pool: IoPool) {
    this.#needs = needs;
    this.#pool = pool;
  }

  get channel(): PromiseChannel & ByteChannel {
    return this.#pool.channel;
  }

  get underWay(): Readonly<Record<string, number>> {
    const { inFlight, waiting, pooledBytes } = this.#pool.channel;
    const own = this.#own;
    return {
      requests: inFlight,
      waiting,
      pooledBytes,
      operations: own?.channel.outstanding ?? 0,
      frozen: own?.channel.frozenDepth ?? 0,
      mailbox: own?.host.mailbox.underWay ?? 0,
    };
  }

  syncChannel(): SyncChannel {
    this.#own ??= this.#attach();
    return this.#own.channel;
  }

  onMetadataDeath(error: BlobstoreError): void {
    this.#needs.shared.markFailed();
    this.#pool.fail(error);
  }

  async stop(): Promise<void> {
    try {
      await this.#pool.stop();
    } finally {
      if (this.#own !== undefined) await closeRemoteChannel(this.#own);
    }
  }

  #attach(): RemoteChannel {
    const { handle, device } = this.#needs;
    if (!device.synchronous) {
      throw new BlobstoreError('ENOTSUP', 'the device is asynchronous: use the promise form of this call');
    }
    return openRemoteChannel(handle, device);
  }
}
