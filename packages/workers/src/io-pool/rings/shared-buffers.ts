/**
 * The shared memories that callers' buffers lie in, as the client knows them: each gets a number, and every worker is sent the
 * memory with it before a request names it. A message that was posted before an entry was published is in the worker's queue
 * when it sees the entry; a worker that meets a number it does not know takes its messages then (`memory-table.ts`).
 *
 * Nothing here keeps a memory from being collected. When one is, workers are told to let it go too, and its index is used again
 * under another number: a worker that hears of that late does not mistake the one for the other.
 */

import type { MessagePort } from 'node:worker_threads';
import { DEVICE_MEMORY, FIRST_INDEX, MEMORIES_MAX, memoryIndex, NO_MEMORY, nextMemoryId } from './memory-id.js';

/** What a client tells a worker besides requests. */
export type WorkerMessage =
  | { readonly kind: 'memory'; readonly id: number; readonly memory: SharedArrayBuffer }
  | { readonly kind: 'forget'; readonly id: number }
  | { readonly kind: 'stop' };

export class SharedBuffers {
  readonly #ids = new WeakMap<ArrayBufferLike, number>();
  /** By index. */
  readonly #memories: (WeakRef<SharedArrayBuffer> | undefined)[] = [];
  /** Numbers for indices that are free. The one that was freed first is used first. */
  #freeIds: number[] = [];
  readonly #collected = new FinalizationRegistry<number>((id) => this.#forget(id));
  readonly #ports = new Set<MessagePort>();
  /** What was asked for last, most often the same again. */
  #lastMemory: ArrayBufferLike | undefined;
  #lastId = NO_MEMORY;

  /** @param deviceMemory - the memory of a memory device, if that is what the workers have */
  constructor(deviceMemory: ArrayBufferLike | undefined) {
    if (deviceMemory !== undefined) this.#ids.set(deviceMemory, DEVICE_MEMORY);
  }

  /** Memories that workers know. */
  get count(): number {
    return this.#memories.reduce((count, memory) => (memory === undefined ? count : count + 1), 0);
  }

  /** The number of a memory, known to all workers from now on; `NO_MEMORY` when it is not shared. */
  idOf(memory: ArrayBufferLike): number {
    if (memory === this.#lastMemory) return this.#lastId;
    const id = this.#ids.get(memory) ?? this.#register(memory);
    this.#lastMemory = memory;
    this.#lastId = id;
    return id;
  }

  /** Lets go of the memory that was asked for last. */
  rest(): void {
    this.#lastMemory = undefined;
  }

  /** Tells a worker of all memories, from now on too. */
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
