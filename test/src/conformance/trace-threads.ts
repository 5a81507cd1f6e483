/**
 * The threads of the traces' channels, one for each channel. They are used for all traces, because starting a thread
 * takes longer than most traces. A thread gets one request at a time, and answers it.
 */

import { type MessagePort, Worker } from 'node:worker_threads';
import type { BlobRef } from '@blobyard/core';
import type { StoreHandle } from '@blobyard/workers';
import type { IoWorkerTask } from '../../../packages/workers/dist/io-pool/serve-io.js';
import type { DataOperation } from './data-operation.js';
import type { Answer } from './trace.js';

export type ThreadRequest =
  /** Opens the thread's channel of a store. */
  | { readonly kind: 'attach'; readonly handle: StoreHandle }
  /** Executes an operation on that channel. `blocking`: the thread blocks where it has to wait. */
  | { readonly kind: 'execute'; readonly blob: BlobRef; readonly operation: DataOperation; readonly blocking: boolean }
  /** Closes it. */
  | { readonly kind: 'detach' }
  /** Makes the thread an I/O worker of a store. */
  | { readonly kind: 'serve'; readonly task: IoWorkerTask }
  /** Ends that, once its client has removed it. */
  | { readonly kind: 'retire' };

/** The answer to a request, or an unexpected failure (`bug`). */
export type ThreadAnswer = Answer | { readonly bug: string };

/** Threads run the built file, also when the test runs from its source. */
const ENTRY = new URL('../../dist/conformance/channel-thread.js', import.meta.url);

export class TraceThreads {
  readonly #threads = new Map<number, TraceThread>();

  /** Sends a request to the thread of a channel, and waits for the answer. Throws if the thread fails unexpectedly. */
  async ask(index: number, request: ThreadRequest, transferList?: MessagePort[]): Promise<Answer> {
    let thread = this.#threads.get(index);
    if (thread === undefined) {
      thread = new TraceThread();
      this.#threads.set(index, thread);
    }
    const answer = await thread.ask(request, transferList);
    if ('bug' in answer) throw new Error(`on the thread of channel ${index}: ${answer.bug}`);
    return answer as Answer;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#threads.values()].map((thread) => thread.close()));
    this.#threads.clear();
  }
}

class TraceThread {
  readonly #worker = new Worker(ENTRY);
  #waiting: ((answer: ThreadAnswer) => void) | undefined;

  constructor() {
    this.#worker.on('message', (answer: ThreadAnswer) => this.#settle(answer));
    this.#worker.on('error', (error) => this.#settle({ bug: error.stack ?? error.message }));
    this.#worker.on('exit', (code) => this.#settle({ bug: `it has ended with exit code ${code}` }));
  }

  ask(request: ThreadRequest, transferList?: MessagePort[]): Promise<ThreadAnswer> {
    return new Promise((resolve) => {
      this.#waiting = resolve;
      this.#worker.postMessage(request, transferList);
    });
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #settle(answer: ThreadAnswer): void {
    this.#waiting?.(answer);
    this.#waiting = undefined;
  }
}

/** Throws if a request failed that is not an operation of a trace, and so must succeed. */
export function succeeded({ rc }: Answer): void {
  if (rc !== 0) throw new Error(`a thread answered ${rc} to a request that must succeed`);
}
