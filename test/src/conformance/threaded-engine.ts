/**
 * An engine with each channel on a thread of its own. The thread that replays is the metadata thread. It serves the
 * other threads while it waits for an answer.
 */

import { type Blob, type Blobstore, type Channel, run, type Steps } from '@blobyard/core';
import type { MemoryDevice } from '@blobyard/io';
import type { DataOperation } from './data-operation.js';
import type { Engine, StoreChannels } from './engine.js';
import { ServedStore } from './served-store.js';
import type { Answer } from './trace.js';
import { createSharedDevice, type TraceDevice, type TraceDeviceOptions } from './trace-device.js';
import { TraceThreads } from './trace-threads.js';

/** A channel of a store on another thread. */
export interface ThreadChannel {
  execute(blob: Blob, operation: DataOperation): Promise<Partial<Answer>>;
  close(): Promise<void>;
}

/** Opens channel `index` of a store on the thread of that number. */
export type OpenThreadChannel = (
  threads: TraceThreads,
  index: number,
  store: ServedStore,
  device: MemoryDevice,
) => Promise<ThreadChannel>;

/** Replays one trace at a time. */
export class ThreadedEngine implements Engine {
  readonly #open: OpenThreadChannel;
  readonly #threads = new TraceThreads();
  /**
   * The devices of traces that have ended, which later traces reuse. Their memory is large, and is freed only when all
   * threads have released it.
   */
  readonly #devices = new Map<string, { device: MemoryDevice; maxSizeBytes: number }>();

  /** @param open - opens a channel on a thread: as an attached thread, or as an I/O worker */
  constructor(open: OpenThreadChannel) {
    this.#open = open;
  }

  createDevice(options: TraceDeviceOptions): MemoryDevice {
    const { blockLengthBytes, sizeBytes, maxSizeBytes, canCopy } = options;
    const kind = `${blockLengthBytes} ${canCopy}`;
    const known = this.#devices.get(kind);
    if (known === undefined || known.maxSizeBytes < maxSizeBytes) {
      const device = createSharedDevice(options);
      this.#devices.set(kind, { device, maxSizeBytes });
      return device;
    }
    known.device.resize(0); // so that all bytes are zeroes after the next line
    known.device.resize(sizeBytes / blockLengthBytes);
    return known.device;
  }

  run<T>(steps: Steps<T>): Promise<T> {
    return run(steps);
  }

  channelsOf(store: Blobstore, device: TraceDevice): StoreChannels {
    return new ThreadedChannels(store, device as MemoryDevice, (index, served) =>
      this.#open(this.#threads, index, served, device as MemoryDevice),
    );
  }

  close(): Promise<void> {
    return this.#threads.close();
  }
}

class ThreadedChannels implements StoreChannels {
  readonly #store: Blobstore;
  readonly #device: MemoryDevice;
  readonly #open: (index: number, store: ServedStore) => Promise<ThreadChannel>;
  readonly #channels = new Map<number, ThreadChannel>();
  /** Undefined until the first channel is used. */
  #served: ServedStore | undefined;
  #local: Channel | undefined;

  constructor(
    store: Blobstore,
    device: MemoryDevice,
    open: (index: number, store: ServedStore) => Promise<ThreadChannel>,
  ) {
    this.#store = store;
    this.#device = device;
    this.#open = open;
  }

  async execute(index: number, blob: Blob, operation: DataOperation): Promise<Partial<Answer>> {
    let channel = this.#channels.get(index);
    if (channel === undefined) {
      this.#served ??= new ServedStore(this.#store, this.#device);
      channel = await this.#open(index, this.#served);
      this.#channels.set(index, channel);
    }
    return channel.execute(blob, operation);
  }

  local(): Channel {
    this.#local ??= this.#store.openChannel();
    return this.#local;
  }

  async close(): Promise<void> {
    for (const channel of this.#channels.values()) await channel.close();
    this.#channels.clear();
    this.#served?.stop();
  }
}
