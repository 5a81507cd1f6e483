/**
 * The I/O workers of a store. Each serves a ring of the client, which chooses a worker for each request
 * (`worker-lanes.ts`). When a worker dies, its requests under way reject, the metadata thread releases its channel, and
 * another worker is started in its place.
 *
 * If no worker is left, requests wait until each worker has been tried to replace once. If all these tries fail, all
 * requests reject with EIO, waiting ones included, until there is a worker again. So the caller gets an error that says
 * what is wrong, and does not wait for a device that may never come back.
 */

import { BlobstoreError, type BlockDevice } from '@blobyard/core';
import { MemoryDevice } from '@blobyard/io';
import { coded } from '../api/failures.js';
import type { WorkerLost, WorkerReplaced } from '../api/store.js';
import type { StoreHandle } from '../api/store-handle.js';
import { KeepAlive } from '../threads/keep-alive.js';
import { IoSeat } from './io-seat.js';
import type { IoThreads } from './io-threads.js';
import { RingClient } from './rings/ring-client.js';

/** Called when workers die and are replaced. */
export interface WorkerEvents {
  lost(event: WorkerLost): void;
  replaced(event: WorkerReplaced): void;
}

export interface IoPoolOptions {
  readonly handle: StoreHandle;
  /** The number of workers, from 1. */
  readonly workers: number;
  /** Their threads. */
  readonly threads: IoThreads;
  /** The store's device, open on this thread. */
  readonly device: BlockDevice;
  readonly events: WorkerEvents;
  /** Reports to the metadata thread that the thread with a row of the channel table is dead. */
  readonly onDead: (row: number) => void;
}

/** The I/O workers of one store, and the client's channel to them. Only the client's thread uses it. */
export class IoPool {
  /** Takes any number of requests at once. Those for which the rings have no room wait. */
  readonly channel: RingClient;
  readonly #options: IoPoolOptions;
  readonly #keepAlive = new KeepAlive();
  readonly #seats: readonly IoSeat[];
  #isStopping = false;

  private constructor(options: IoPoolOptions) {
    const { device, handle, workers } = options;
    this.#options = options;
    this.channel = new RingClient({
      ioUnitBytes: handle.geometry.ioUnitBytes,
      deviceMemory: device instanceof MemoryDevice ? device.memory : undefined,
      onBusy: () => this.#keepAlive.begin(),
      onIdle: () => this.#keepAlive.end(),
    });
    this.#seats = Array.from({ length: workers }, () => this.#seat());
  }

  /** Starts the workers. If one cannot be started or cannot attach, ends the others and throws its error. */
  static async start(options: IoPoolOptions): Promise<IoPool> {
    const pool = new IoPool(options);
    try {
      await Promise.all(pool.#seats.map((seat) => seat.start()));
      return pool;
    } catch (error) {
      await Promise.allSettled([pool.stop()]); // the error of starting is the more useful one
      throw coded(error, 'start the I/O workers');
    }
  }

  /** From now on every request rejects with `error`, and a worker that dies is not replaced. */
  fail(error: BlobstoreError): void {
    for (const seat of this.#seats) seat.retire();
    this.channel.close(error);
  }

  /**
   * Ends the workers, after they have answered their requests. When all have ended, throws the first error of ending
   * one. A second call does nothing.
   */
  async stop(): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.fail(new BlobstoreError('EBADF', 'the store is closed: open it again first'));
    await this.channel.drained();
    const stopped = await Promise.allSettled(this.#seats.map((seat) => seat.stop()));
    this.#keepAlive.close();
    const failed = stopped.find((each) => each.status === 'rejected');
    if (failed) throw failed.reason;
  }

  get #servingCount(): number {
    return this.#seats.filter(({ isServing }) => isServing).length;
  }

  #seat(): IoSeat {
    const { handle, threads, events, onDead } = this.#options;
    return new IoSeat({
      handle,
      client: this.channel,
      threads,
      onLost: (row, error) => {
        onDead(row);
        events.lost({ error, workersLeft: this.#servingCount });
      },
      onReplaced: (tries) => events.replaced({ workers: this.#servingCount, tries }),
      onFailure: () => this.#refuseIfNone(),
    });
  }

  /** Makes all requests reject if no worker is left, and the last try to replace each one has failed. */
  #refuseIfNone(): void {
    const failures = this.#seats.map(({ failure }) => failure);
    if (failures.includes(undefined)) return;
    const [cause] = failures;
    const advice = 'the store goes on trying, with pauses of up to 2 s: check the device, and repeat the call';
    const what = `no I/O worker is left, and none could be started (${cause?.message})`;
    this.channel.refuse(new BlobstoreError('EIO', `${what}; ${advice}`, { cause }));
  }
}
