/**
 * The seat of one I/O worker: a thread that serves a ring of the client, and another thread when that one dies. While
 * that fails (the device cannot be opened, or no thread started) the seat tries again, after pauses that become longer
 * (`pauses.ts`). The pauses do not keep the process alive.
 */

import { setTimeout } from 'node:timers/promises';
import { MessageChannel } from 'node:worker_threads';
import { BlobstoreError, coded, type InvariantError } from '@blobyard/core';
import type { StoreHandle } from '../api/store-handle.js';
import type { IoThread } from './io-thread.js';
import type { IoThreads } from './io-threads.js';
import { Pauses } from './pauses.js';
import type { RingClient } from './rings/ring-client.js';
import type { WorkerLane } from './rings/worker-lane.js';

export interface IoSeatOptions {
  readonly handle: StoreHandle;
  readonly client: RingClient;
  readonly threads: IoThreads;
  /** A worker died, and its requests have failed with `error`. @param row - the worker's row of the channel table */
  readonly onLost: (row: number, error: BlobstoreError) => void;
  /** Another worker serves in its place. @param tries - the number of tries that it took, from 1 */
  readonly onReplaced: (tries: number) => void;
  /** A try to start a worker has failed; `IoSeat.failure` is its error. Another try follows. */
  readonly onFailure: () => void;
}

/** A worker that serves. */
interface Serving {
  readonly lane: WorkerLane;
  readonly row: number;
  /** Resolves with the reason when its thread has ended. */
  readonly exited: Promise<Error>;
}

/** Only the client's thread uses it. */
export class IoSeat {
  readonly #options: IoSeatOptions;
  /** Its signal is aborted once no more workers are to be started. */
  readonly #retired = new AbortController();
  readonly #pauses = new Pauses();
  #thread: IoThread | undefined;
  #serving: Serving | undefined;
  #failure: BlobstoreError | InvariantError | undefined;

  constructor(options: IoSeatOptions) {
    this.#options = options;
  }

  get isServing(): boolean {
    return this.#serving !== undefined;
  }

  /** The error of the last try to replace a dead worker; undefined if none has failed since a worker last served. */
  get failure(): BlobstoreError | InvariantError | undefined {
    return this.#failure;
  }

  /**
   * Starts a worker, and from then on replaces it when it dies. Throws the error if the first one cannot be started, or
   * cannot attach.
   */
  async start(): Promise<void> {
    void this.#watchOver(await this.#begin());
  }

  /** From now on a worker that dies is not replaced. */
  retire(): void {
    this.#retired.abort();
  }

  /**
   * Ends the worker, after it has answered its requests. Once it has ended, throws the error of closing its device, if
   * any.
   */
  async stop(): Promise<void> {
    this.retire();
    const failure = this.#serving === undefined ? undefined : await this.#end(this.#serving);
    await this.#thread?.terminate();
    if (failure !== undefined) throw failure;
  }

  async #watchOver(first: Serving): Promise<void> {
    for (let serving: Serving | undefined = first; serving !== undefined; serving = await this.#replace()) {
      const cause = await serving.exited;
      this.#serving = undefined;
      const what =
        'the I/O worker that had this request died: the request may have been carried out or not, so repeat it';
      const error = new BlobstoreError('EIO', `${what} (${cause.message})`, { cause });
      this.#options.client.failWorker(serving.lane, error);
      if (!this.#retired.signal.aborted) this.#options.onLost(serving.row, error);
    }
  }

  /** Tries until a worker serves again; undefined once the seat is retired. */
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

  /** Makes the thread serve a new ring. */
  async #begin(): Promise<Serving> {
    const { client, handle } = this.#options;
    const thread = this.#living();
    const { port1, port2 } = new MessageChannel();
    try {
      const ring = client.createRing();
      const row = await thread.begin({ handle, ring, port: port2 });
      this.#retired.signal.throwIfAborted();
      port1.unref();
      this.#serving = { lane: client.addWorker(ring, port1), row, exited: thread.exited };
      this.#failure = undefined;
      return this.#serving;
    } catch (error) {
      port1.close(); // ends the worker's server, if it serves already
      throw error;
    }
  }

  /** Returns the seat's thread, if it has not ended as far as is known; otherwise another one. */
  #living(): IoThread {
    if (!this.#thread?.isAlive) this.#thread = this.#options.threads.take();
    return this.#thread;
  }

  /**
   * Ends a worker. Returns the error of closing its device; undefined if there was none, or the worker died meanwhile.
   */
  async #end({ lane }: Serving): Promise<unknown> {
    await this.#options.client.removeWorker(lane);
    const thread = this.#thread;
    try {
      await thread?.end();
      return undefined;
    } catch (error) {
      return thread?.isAlive ? error : undefined;
    }
  }
}
