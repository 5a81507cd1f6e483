/**
 * The place of one I/O worker: a pool of one thread, in which piscina starts another when that dies, and what has the thread serve
 * a ring of the client's. While none can (the device cannot be opened, no thread be started) it is tried again, with pauses that
 * grow; they keep no process alive.
 */

import { setTimeout } from 'node:timers/promises';
import { MessageChannel, type MessagePort, type Worker } from 'node:worker_threads';
import { BlobstoreError, coded, type InvariantError } from '@blobyard/core';
import { Piscina } from 'piscina';
import type { StoreHandle } from '../api/store-handle.js';
import { type Envelope, fromWire } from '../threads/wire-error.js';
import { execArgvForFiles } from '../threads/worker-options.js';
import type { IoWorkerTask } from './io-worker.js';
import { Pauses } from './pauses.js';
import type { RingClient } from './rings/ring-client.js';
import type { WorkerLane } from './rings/worker-lane.js';

export interface IoSeatOptions {
  readonly handle: StoreHandle;
  readonly client: RingClient;
  /** A worker died; its requests have failed with `error`. `row` of the channel table was its own. */
  readonly onLost: (row: number, error: BlobstoreError) => void;
  /** Another one serves in its place, at this try, from 1. */
  readonly onReplaced: (tries: number) => void;
  /** A try failed, as `failure` says; there will be another. */
  readonly onFailure: () => void;
}

/** A worker that serves. */
interface Serving {
  readonly lane: WorkerLane;
  readonly row: number;
  /** Resolves with the reason when its thread has ended. */
  readonly exited: Promise<Error>;
}

export class IoSeat {
  readonly #options: IoSeatOptions;
  /** Aborted once no worker is to be started any more. */
  readonly #retired = new AbortController();
  readonly #pauses = new Pauses();
  #pool: Piscina | undefined;
  /** The pool's thread, and its end. */
  #thread: { readonly worker: Worker; readonly exited: Promise<Error> } | undefined;
  #serving: Serving | undefined;
  #failure: BlobstoreError | InvariantError | undefined;

  constructor(options: IoSeatOptions) {
    this.#options = options;
  }

  get isServing(): boolean {
    return this.#serving !== undefined;
  }

  /** Why no worker could be started in the place of one that died; undefined as long as that has not failed. */
  get failure(): BlobstoreError | InvariantError | undefined {
    return this.#failure;
  }

  /** Starts a worker, and from then on another one whenever that dies. Throws what starting or attaching the first throws. */
  async start(): Promise<void> {
    void this.#watchOver(await this.#begin());
  }

  /** From now on a worker that dies is not replaced. */
  retire(): void {
    this.#retired.abort();
  }

  /** Ends the worker, which answers what it has before. Throws, once it has ended, why it could not let go of its device. */
  async stop(): Promise<void> {
    this.retire();
    const failure = this.#serving === undefined ? undefined : await this.#end(this.#serving);
    await this.#pool?.destroy();
    if (failure !== undefined) throw failure;
  }

  async #watchOver(first: Serving): Promise<void> {
    for (let serving: Serving | undefined = first; serving !== undefined; serving = await this.#replace()) {
      const cause = await serving.exited;
      this.#serving = undefined;
      const what = 'the I/O worker that had this request died, and the request may have been carried out or not';
      const error = new BlobstoreError('EIO', `${what}: ${cause.message}`, { cause });
      this.#options.client.failWorker(serving.lane, error);
      if (!this.#retired.signal.aborted) this.#options.onLost(serving.row, error);
    }
  }

  /** Tries until a worker serves again; undefined when that is not wanted any more. */
  async #replace(): Promise<Serving | undefined> {
    const { signal } = this.#retired;
    for (let tries = 1; !signal.aborted; tries++) {
      try {
        await setTimeout(this.#pauses.next(performance.now()), undefined, { ref: false, signal });
        const serving = await this.#begin();
        this.#options.onReplaced(tries);
        return serving;
      } catch (error) {
        if (signal.aborted) break;
        this.#failure = coded(error, 'start an I/O worker');
        this.#options.onFailure();
      }
    }
    return undefined;
  }

  /** Has the pool's thread serve a ring. */
  async #begin(): Promise<Serving> {
    const { client, handle } = this.#options;
    const { pool, exited } = this.#living();
    const { port1, port2 } = new MessageChannel();
    try {
      const ring = client.createRing();
      const task: IoWorkerTask = { handle, ring, port: port2 };
      const row = await Promise.race([begin(pool, task, port2), exited.then(raise)]);
      this.#retired.signal.throwIfAborted();
      port1.unref();
      this.#serving = { lane: client.addWorker(ring, port1), row, exited };
      this.#failure = undefined;
      return this.#serving;
    } catch (error) {
      port1.close(); // by which the worker hears of it, if it serves already
      throw error;
    }
  }

  /** The pool, with a thread that has not ended as far as is known. A pool whose thread never began starts no other. */
  #living(): { pool: Piscina; exited: Promise<Error> } {
    if (this.#pool === undefined || this.#pool.threads.length === 0) {
      void this.#pool?.destroy();
      this.#pool = startPool();
    }
    const [worker] = this.#pool.threads;
    if (this.#thread?.worker !== worker) this.#thread = { worker, exited: exitOf(worker) };
    return { pool: this.#pool, exited: this.#thread.exited };
  }

  /** Answers what the worker failed with; one that dies on the way needs no goodbye. */
  async #end({ lane, exited }: Serving): Promise<Error | undefined> {
    await this.#options.client.removeWorker(lane);
    const died = exited.then(() => undefined);
    const ended: Promise<Envelope<void>> | undefined = this.#pool?.run(undefined, { name: 'end' });
    const answer = await Promise.race([ended?.catch(() => undefined), died]);
    return answer !== undefined && 'error' in answer ? fromWire(answer.error) : undefined;
  }
}

function startPool(): Piscina {
  const pool = new Piscina({
    filename: new URL('./io-worker.js', import.meta.url).href,
    minThreads: 1,
    maxThreads: 1,
    execArgv: execArgvForFiles(),
    atomics: 'disabled', // between its tasks a worker serves in its event loop
  });
  pool.on('error', () => undefined); // the thread's own end tells
  return pool;
}

async function begin(pool: Piscina, task: IoWorkerTask, port: MessagePort): Promise<number> {
  const answer: Envelope<number> = await pool.run(task, { name: 'begin', transferList: [port] });
  if ('error' in answer) throw fromWire(answer.error);
  return answer.ok;
}

function exitOf(worker: Worker): Promise<Error> {
  let cause: Error | undefined;
  worker.once('error', (error) => {
    cause = error;
  });
  return new Promise((resolve) => {
    worker.once('exit', (code) => resolve(cause ?? new Error(`it exited with code ${code}`)));
  });
}

function raise(error: Error): never {
  throw error;
}
