/** An engine whose store and channels are on the thread that replays. It runs operations synchronously. */

import { type Blob, type Blobstore, type Channel, runSync, type Steps } from '@blobyard/core';
import { type DataOperation, perform, synchronous } from './data-operation.js';
import type { Engine, StoreChannels } from './engine.js';
import type { Answer } from './trace.js';
import { createSparseDevice, type TraceDeviceOptions } from './trace-device.js';

export class InlineEngine implements Engine {
  createDevice(options: TraceDeviceOptions) {
    return createSparseDevice(options);
  }

  run<T>(steps: Steps<T>): T {
    return runSync(steps);
  }

  channelsOf(store: Blobstore): StoreChannels {
    return new InlineChannels(store);
  }

  async close(): Promise<void> {
    // There are no threads.
  }
}

class InlineChannels implements StoreChannels {
  readonly #store: Blobstore;
  readonly #channels = new Map<number, Channel>();

  constructor(store: Blobstore) {
    this.#store = store;
  }

  execute(index: number, blob: Blob, operation: DataOperation): Promise<Partial<Answer>> {
    return perform(synchronous(this.#channel(index)), blob, this.#store.geometry.ioUnitBytes, operation);
  }

  /** Channel 0, as in the reference runner. */
  local(): Channel {
    return this.#channel(0);
  }

  /** Only forgets the channels: the store closes them itself. */
  async close(): Promise<void> {
    this.#channels.clear();
  }

  #channel(index: number): Channel {
    let channel = this.#channels.get(index);
    if (!channel) {
      channel = this.#store.openChannel();
      this.#channels.set(index, channel);
    }
    return channel;
  }
}
