/**
 * The I/O workers of a store: piscina starts them, and starts another when one dies. Each serves a ring of the client's, which
 * gives requests to whoever has the least to do. What a worker that dies had under way rejects; its channel is given back.
 */

import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { BlobstoreError, type BlockDevice } from '@blobyard/core';
import { MemoryDevice } from '@blobyard/io';
import { Piscina } from 'piscina';
import { coded } from '../failures.js';
import type { IoWorkerTask } from './io-worker.js';
import { KeepAlive } from './keep-alive.js';
import { RingClient } from './rings/ring-client.js';
import type { WorkerLane } from './rings/worker-lane.js';
import type { StoreHandle } from './store-handle.js';
import { execArgvForFiles } from './worker-options.js';

export interface IoPoolOptions {
  readonly handle: StoreHandle;
  readonly threads: number;
  /** The store's device as this thread has it. */
  readonly device: BlockDevice;
  /** Tells the metadata thread that the thread that had a row of the channel table is dead. */
  readonly onDead: (row: number) => void;
}

/** A worker that serves. */
interface Serving {
  readonly lane: WorkerLane;
  readonly row: number;
}

export class IoPool {
  /** For requests of any number: those that are too many wait. */
  readonly channel: RingClient;
  readonly #options: IoPoolOptions;
  readonly #keepAlive = new KeepAlive();
  readonly #pool: Piscina;
  /** By the thread's id. */
  readonly #serving = new Map<number, Serving>();
  /** Threads that serve, or are about to, or did. */
  readonly #known = new Set<number>();
  /** The thread that the task which is about to be posted is for. */
  #addressee = 0;
  /** Workers that are about to serve. */
  #beginningCount = 0;
  #isStopping = false;

  private constructor(options: IoPoolOptions) {
    const { device, handle, threads } = options;
    this.#options = options;
    this.channel = new RingClient({
      ioUnitBytes: handle.geometry.ioUnitBytes,
      deviceMemory: device instanceof MemoryDevice ? device.memory : undefined,
      onBusy: () => this.#keepAlive.begin(),
      onIdle: () => this.#keepAlive.end(),
    });
    this.#pool = new Piscina({
      filename: new URL('./io-worker.js', import.meta.url).href,
      minThreads: threads,
      maxThreads: threads,
      execArgv: execArgvForFiles(),
      atomics: 'disabled', // between its tasks a worker serves in its event loop
      loadBalancer: (_task, workers) => workers.find(({ id }) => id === this.#addressee) ?? null,
    });
    this.#pool.on('error', () => undefined); // each worker's own event tells which it was
    this.#pool.on('workerCreate', ({ id }: { id: number }) => void this.#replace(id));
  }

  /** Starts the workers. Throws what attaching them throws; then none is left. */
  static async start(options: IoPoolOptions): Promise<IoPool> {
    const pool = new IoPool(options);
    try {
      for (const { threadId } of pool.#pool.threads) pool.#known.add(threadId);
      await Promise.all(pool.#pool.threads.map(({ threadId }) => pool.#begin(threadId)));
      return pool;
    } catch (error) {
      await pool.stop();
      throw coded(error, 'start the I/O workers');
    }
  }

  /** From now on every request rejects with `error`. */
  fail(error: BlobstoreError): void {
    this.channel.close(error);
  }

  /** Ends the workers, which answer what they have before. Twice is once. */
  async stop(): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.channel.close(new BlobstoreError('EBADF', 'the store is closed: open it again first'));
    await this.channel.drained();
    await Promise.all([...this.#serving].map(([threadId, { lane }]) => this.#end(threadId, lane)));
    await this.#pool.destroy();
    this.#keepAlive.close();
  }

  /** Makes a worker serve, and watches over it. */
  async #begin(threadId: number): Promise<void> {
    const { port1, port2 } = new MessageChannel();
    const ring = this.channel.createRing();
    const task: IoWorkerTask = { handle: this.#options.handle, ring, port: port2 };
    this.#known.add(threadId);
    this.#watch(threadId);
    this.#beginningCount++;
    try {
      const row: number = await this.#post(threadId, 'begin', task, [port2]);
      port1.unref();
      this.#serving.set(threadId, { lane: this.channel.addWorker(ring, port1), row });
    } catch (error) {
      port1.close();
      throw error;
    } finally {
      this.#beginningCount--;
    }
  }

  #watch(threadId: number): void {
    const worker = this.#pool.threads.find((thread) => thread.threadId === threadId);
    let cause: Error | undefined;
    worker?.once('error', (error) => {
      cause = error;
    });
    worker?.once('exit', (code) => this.#exited(threadId, cause ?? new Error(`it exited with code ${code}`)));
  }

  async #end(threadId: number, lane: WorkerLane): Promise<void> {
    try {
      await this.channel.removeWorker(lane);
      await this.#post(threadId, 'end');
    } catch {
      // it died on the way, and needs no goodbye
    }
  }

  #post(threadId: number, name: 'begin' | 'end', task?: IoWorkerTask, transferList?: MessagePort[]): Promise<number> {
    this.#addressee = threadId;
    return this.#pool.run(task, { name, transferList });
  }

  /** A worker has ended that was not told to. */
  #exited(threadId: number, cause: Error): void {
    const serving = this.#serving.get(threadId);
    this.#serving.delete(threadId);
    if (serving === undefined || this.#isStopping) return;
    const what = 'the I/O worker that had this request died, and the request may have been carried out or not';
    this.channel.failWorker(serving.lane, new BlobstoreError('EIO', `${what}: ${cause.message}`, { cause }));
    this.#options.onDead(serving.row);
    // Piscina starts another one; when that cannot serve, `#replace` sees it.
  }

  /** Piscina has started a worker in the place of one that died. */
  async #replace(threadId: number): Promise<void> {
    if (this.#isStopping || this.#known.has(threadId)) return;
    try {
      await this.#begin(threadId);
    } catch (cause) {
      if (this.#serving.size > 0 || this.#beginningCount > 0) return; // the others have its share
      const reason = cause instanceof Error ? cause.message : String(cause);
      this.fail(new BlobstoreError('EIO', `no I/O worker is left, and none can be started: ${reason}`, { cause }));
    }
  }
}
