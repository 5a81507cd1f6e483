/**
 * The shared memories of callers' buffers, on the side of the client. Each memory gets an id, and is sent to every
 * worker with that id before a request uses it. A message that was posted before an entry was published is in the
 * worker's queue when the worker sees the entry. A worker that finds an unknown id takes its messages then
 * (`memory-table.ts`).
 *
 * Memories are only weakly referenced here. When one is garbage-collected, the workers are told to release it too, and
 * its index is used again with another id. So a worker that gets that message late does not mistake one memory for the
 * other.
 */

import type { MessagePort } from 'node:worker_threads';
import { DEVICE_MEMORY, FIRST_INDEX, MEMORIES_MAX, memoryIndex, NO_MEMORY, nextMemoryId } from './memory-id.js';

/** The messages of a client to a worker, besides requests. */
export type WorkerMessage =
  | { readonly kind: 'memory'; readonly id: number; readonly memory: SharedArrayBuffer }
  | { readonly kind: 'forget'; readonly id: number }
  | { readonly kind: 'stop' };

/** Only the client's thread uses it. */
export class SharedBuffers {
  readonly #ids = new WeakMap<ArrayBufferLike, number>();
  /** By index. */
  readonly #memories: (WeakRef<SharedArrayBuffer> | undefined)[] = [];
  /** The next ids of free indices. The index that was freed first is used first. */
  #freeIds: number[] = [];
  readonly #collected = new FinalizationRegistry<number>((id) => this.#forget(id));
  readonly #ports = new Set<MessagePort>();
  /** The memory of the last `idOf`. The next call is most often for the same one. */
  #lastMemory: ArrayBufferLike | undefined;
  #lastId = NO_MEMORY;

  /** @param deviceMemory - the memory of the store's memory device; undefined for other devices */
  constructor(deviceMemory: ArrayBufferLike | undefined) {
    if (deviceMemory !== undefined) this.#ids.set(deviceMemory, DEVICE_MEMORY);
  }

  /** The number of memories that the workers have. */
  get count(): number {
    return this.#memories.reduce((count, memory) => (memory === undefined ? count : count + 1), 0);
  }

  /** The id of a memory; sends it to all workers first if they do not have it. `NO_MEMORY` when it is not shared. */
  idOf(memory: ArrayBufferLike): number {
    if (memory === this.#lastMemory) return this.#lastId;
    const id = this.#ids.get(memory) ?? this.#register(memory);
    this.#lastMemory = memory;
    this.#lastId = id;
    return id;
  }

  /** Releases the reference to the memory of the last `idOf`. */
  rest(): void {
    this.#lastMemory = undefined;
  }

  /** Sends all memories to a worker, and from now on also new ones. */
  addPort(port: MessagePort): void {
    this.#ports.add(port);
    for (const reference of this.#memories) {
      const memory = reference?.deref();
      const id = memory && this.#ids.get(memory);
      if (memory !== undefined && id !== undefined) tell(port, { kind: 'memory', id, memory });
    }
  }

  removePort(port: MessagePort): void {
    this.#ports.delete(port);
  }

  #register(memory: ArrayBufferLike): number {
    if (!(memory instanceof SharedArrayBuffer)) return NO_MEMORY;
    const id = this.#freeIds.shift() ?? FIRST_INDEX + this.#memories.length;
    const index = memoryIndex(id);
    if (id >= MEMORIES_MAX && index < FIRST_INDEX) return NO_MEMORY;
    this.#ids.set(memory, id);
    this.#memories[index - FIRST_INDEX] = new WeakRef(memory);
    this.#collected.register(memory, id);
    for (const port of this.#ports) tell(port, { kind: 'memory', id, memory });
    return id;
  }

  #forget(id: number): void {
    this.#memories[memoryIndex(id) - FIRST_INDEX] = undefined;
    this.#freeIds.push(nextMemoryId(id));
    for (const port of this.#ports) tell(port, { kind: 'forget', id });
  }
}

export function tell(port: MessagePort, message: WorkerMessage): void {
  port.postMessage(message);
}
