/**
 * The I/O workers of a store. Each serves a ring of the client's, which gives requests to whoever has the least to do. What a worker
 * that dies had under way rejects, its channel is given back, and another one is started in its place.
 *
 * Requests wait while the first try to replace the last worker goes on. Once that has failed they reject with EIO, those too that
 * wait, until there is a worker again: who asks hears what is wrong, and nothing hangs on a device that may never come back.
 */

import { BlobstoreError, type BlockDevice } from '@blobyard/core';
import { MemoryDevice } from '@blobyard/io';
import { coded } from '../api/failures.js';
import type { WorkerLost, WorkerReplaced } from '../api/store.js';
import type { StoreHandle } from '../api/store-handle.js';
import { KeepAlive } from '../threads/keep-alive.js';
import { IoSeat } from './io-seat.js';
import { RingClient } from './rings/ring-client.js';

/** Told of workers that come and go. */
export interface WorkerEvents {
  lost(event: WorkerLost): void;
  replaced(event: WorkerReplaced): void;
}

export interface IoPoolOptions {
  readonly handle: StoreHandle;
  readonly threads: number;
  /** The store's device as this thread has it. */
  readonly device: BlockDevice;
  readonly events: WorkerEvents;
  /** Tells the metadata thread that the thread that had a row of the channel table is dead. */
  readonly onDead: (row: number) => void;
}

export class IoPool {
  /** For requests of any number: those that are too many wait. */
  readonly channel: RingClient;
  readonly #options: IoPoolOptions;
  readonly #keepAlive = new KeepAlive();
  readonly #seats: readonly IoSeat[];
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
    this.#seats = Array.from({ length: threads }, () => this.#seat());
  }

  /** Starts the workers. Throws what attaching them throws; then none is left. */
  static async start(options: IoPoolOptions): Promise<IoPool> {
    const pool = new IoPool(options);
    try {
      await Promise.all(pool.#seats.map((seat) => seat.start()));
      return pool;
    } catch (error) {
      await Promise.allSettled([pool.stop()]); // why it could not be started says more
      throw coded(error, 'start the I/O workers');
    }
  }

  /** From now on every request rejects with `error`, and a worker that dies is not replaced. */
  fail(error: BlobstoreError): void {
    for (const seat of this.#seats) seat.retire();
    this.channel.close(error);
  }

  /** Ends the workers, which answer what they have before. Throws, when all have ended, what ending one threw. Twice is once. */
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
    const { handle, events, onDead } = this.#options;
    return new IoSeat({
      handle,
      client: this.channel,
      onLost: (row, error) => {
        onDead(row);
        events.lost({ error, workersLeft: this.#servingCount });
      },
      onReplaced: (tries) => events.replaced({ workers: this.#servingCount, tries }),
      onFailure: () => this.#refuseIfNone(),
    });
  }

  /** When nobody serves, nor is about to. */
  #refuseIfNone(): void {
    const failures = this.#seats.map(({ failure }) => failure);
    if (failures.includes(undefined)) return;
    const [cause] = failures;
    const advice = 'it is tried again every few seconds: look after the device, and ask again';
    const what = `no I/O worker is left, and none could be started (${cause?.message})`;
    this.channel.refuse(new BlobstoreError('EIO', `${what}; ${advice}`, { cause }));
  }
}
