/** The shared memories of a client on the side of a worker: a view of each, by its id. See `shared-buffers.ts`. */

import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { assert } from '@blobyard/core';
import { DEVICE_MEMORY, memoryIndex, NO_MEMORY } from './memory-id.js';
import type { WorkerMessage } from './shared-buffers.js';

export class MemoryTable {
  readonly #port: MessagePort;
  readonly #onStop: () => void;
  /** By index: the current id, the memory, and a view of all its bytes. */
  readonly #ids: number[] = [];
  readonly #memories: ArrayBufferLike[] = [];
  readonly #views: Uint8Array[] = [];

  /**
   * @param deviceMemory - the memory of this thread's memory device; undefined for other devices
   * @param onStop - called when the client sends `stop`
   */
  constructor(port: MessagePort, deviceMemory: ArrayBufferLike | undefined, onStop: () => void) {
    this.#port = port;
    this.#onStop = onStop;
    this.#set(NO_MEMORY, new SharedArrayBuffer(0));
    this.#set(DEVICE_MEMORY, deviceMemory ?? new SharedArrayBuffer(0));
  }

  /**
   * Returns a view of all bytes of a memory, at least up to byte `end`: the same object each time, unless the memory
   * has grown.
   */
  view(id: number, end: number): Uint8Array {
    const index = memoryIndex(id);
    if (this.#ids[index] !== id) this.#learn(id);
    const view = this.#views[index];
    return view.length >= end ? view : this.#grown(index, end);
  }

  /** Handles a message of the client. */
  accept(message: WorkerMessage): void {
    if (message.kind === 'memory') this.#set(message.id, message.memory);
    else if (message.kind === 'forget') this.#forget(message.id);
    else this.#onStop();
  }

  /** Takes the client's messages until the one with the memory of an id has come. */
  #learn(id: number): void {
    const index = memoryIndex(id);
    while (this.#ids[index] !== id) {
      const received = receiveMessageOnPort(this.#port) as { message: WorkerMessage } | undefined;
      assert(received !== undefined, 'a request names a memory that the worker was never sent');
      this.accept(received.message);
    }
  }

  #set(id: number, memory: ArrayBufferLike): void {
    const index = memoryIndex(id);
    this.#ids[index] = id;
    this.#memories[index] = memory;
    this.#views[index] = new Uint8Array(memory, 0, memory.byteLength);
  }

  #forget(id: number): void {
    const index = memoryIndex(id);
    if (this.#ids[index] !== id) return;
    this.#set(id, new SharedArrayBuffer(0));
    this.#ids[index] = NO_MEMORY;
  }

  #grown(index: number, end: number): Uint8Array {
    this.#set(this.#ids[index], this.#memories[index]);
    assert(this.#views[index].length >= end, 'a request goes past the end of its memory');
    return this.#views[index];
  }
}
