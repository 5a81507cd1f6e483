/**
 * The threads that channels of traces live on: one for each, used for all traces, because starting a thread takes longer than
 * most traces do. A thread is told one thing at a time, and answers it.
 */

import { type MessagePort, Worker } from 'node:worker_threads';
import type { BlobRef } from '@blobyard/core';
import type { StoreHandle } from '@blobyard/workers';
import type { IoWorkerTask } from '../../../packages/workers/dist/io-pool/io-worker.js';
import type { DataOperation } from './data-operation.js';
import type { Answer } from './trace.js';

export type ThreadRequest =
  /** Opens the thread's channel of a store. */
  | { readonly kind: 'attach'; readonly handle: StoreHandle }
  /** Executes an operation on it, stopping the thread where it has to wait, or not. */
  | { readonly kind: 'execute'; readonly blob: BlobRef; readonly operation: DataOperation; readonly blocking: boolean }
  /** Closes it. */
  | { readonly kind: 'detach' }
  /** Makes the thread an I/O worker of a store. */
  | { readonly kind: 'serve'; readonly task: IoWorkerTask }
  /** Ends that, once its client has removed it. */
  | { readonly kind: 'retire' };

/** What the request answered, or a failure that no trace expects. */
export type ThreadAnswer = Answer | { readonly bug: string };

/** Threads run what was built, also where a test runs from its source. */
const ENTRY = new URL('../../dist/conformance/channel-thread.js', import.meta.url);

export class TraceThreads {
  readonly #threads = new Map<number, TraceThread>();

  /** Tells the thread of a channel something, and waits for its answer. */
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

/** Throws where a request failed that no trace has asked for. */
export function succeeded({ rc }: Answer): void {
  if (rc !== 0) throw new Error(`a thread answered ${rc} to what cannot fail`);
}
