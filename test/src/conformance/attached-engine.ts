/** Each channel on a thread of its own that has attached to the store; the thread that replays is the metadata thread. */

import { type Blob, type Blobstore, type Channel, run, type Steps } from '@blobyard/core';
import type { MemoryDevice } from '@blobyard/io';
import type { DataOperation } from './data-operation.js';
import type { Engine, StoreChannels } from './engine.js';
import { ServedStore } from './served-store.js';
import type { Answer } from './trace.js';
import { createSharedDevice, type TraceDevice, type TraceDeviceOptions } from './trace-device.js';
import { TraceThreads } from './trace-threads.js';

export class AttachedEngine implements Engine {
  readonly #threads = new TraceThreads();

  createDevice(options: TraceDeviceOptions) {
    return createSharedDevice(options);
  }

  run<T>(steps: Steps<T>): Promise<T> {
    return run(steps);
  }

  channelsOf(store: Blobstore, device: TraceDevice): StoreChannels {
    return new AttachedChannels(store, device as MemoryDevice, this.#threads);
  }

  close(): Promise<void> {
    return this.#threads.close();
  }
}

class AttachedChannels implements StoreChannels {
  readonly #store: Blobstore;
  readonly #device: MemoryDevice;
  readonly #threads: TraceThreads;
  /** Channels whose threads have attached. */
  readonly #attached = new Set<number>();
  #served: ServedStore | undefined;
  #local: Channel | undefined;

  constructor(store: Blobstore, device: MemoryDevice, threads: TraceThreads) {
    this.#store = store;
    this.#device = device;
    this.#threads = threads;
  }

  async execute(index: number, blob: Blob, operation: DataOperation): Promise<Partial<Answer>> {
    await this.#open(index);
    const { slot, generation } = blob;
    const blocking = !reachesExternal(blob);
    return this.#threads.ask(index, { kind: 'execute', blob: { slot, generation }, operation, blocking });
  }

  local(): Channel {
    this.#local ??= this.#store.openChannel();
    return this.#local;
  }

  async close(): Promise<void> {
    for (const index of this.#attached) await this.#threads.ask(index, { kind: 'detach' });
    this.#attached.clear();
    this.#served?.stop();
  }

  async #open(index: number): Promise<void> {
    if (this.#attached.has(index)) return;
    this.#served ??= new ServedStore(this.#store, this.#device);
    const { rc } = await this.#threads.ask(index, { kind: 'attach', handle: this.#served.handle });
    if (rc !== 0) throw new Error(`the thread of channel ${index} cannot attach: ${rc}`);
    this.#attached.add(index);
  }
}

/** True when an operation may need what only a module that is loaded first can open, and so cannot be synchronous. */
function reachesExternal(blob: Blob): boolean {
  let { back } = blob;
  while (back?.kind === 'blob') back = back.blob.back;
  return back?.kind === 'external';
}
