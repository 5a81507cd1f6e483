/**
 * Automatic syncs of a store: when its process ends normally, and at intervals on a device that does not declare who
 * keeps written data (`cacheOwner`). On such a device, a process that is killed loses first writes to clusters since
 * the last sync. The interval bounds how many.
 */

import { type Blobstore, runSync } from '@blobyard/core';
import { atProcessEnd } from '../threads/process-end.js';

/** Milliseconds between syncs on a device that may lose data when a process ends. */
const INTERVAL_MS_DEFAULT = 5000;

/** Metadata thread. */
export class SelfSync {
  readonly #blobstore: Blobstore;
  readonly #flush: () => Promise<void>;
  readonly #forget: (() => void) | undefined;
  readonly #timer: NodeJS.Timeout | undefined;
  #flushing: Promise<void> | undefined;

  /**
   * @param flush - makes all acknowledged writes durable
   * @param intervalMs - milliseconds; 0: never; undefined: as the device needs it
   */
  constructor(blobstore: Blobstore, flush: () => Promise<void>, intervalMs: number | undefined) {
    this.#blobstore = blobstore;
    this.#flush = flush;
    const { cacheOwner, synchronous } = blobstore.device;
    if (cacheOwner === 'process') return; // the data is lost with the process: a sync would be useless
    const beforeExit = () => this.#flushIfNeeded();
    this.#forget = atProcessEnd({ beforeExit, ...(synchronous ? { exit: () => this.#flushNow() } : {}) });
    const needsInterval = cacheOwner === undefined && blobstore.durability === 'power-loss';
    const everyMs = intervalMs ?? (needsInterval ? INTERVAL_MS_DEFAULT : 0);
    if (everyMs > 0) this.#timer = setInterval(() => void this.#flushIfNeeded(), everyMs).unref();
  }

  stop(): void {
    this.#forget?.();
    clearInterval(this.#timer);
  }

  /** Resolves when no automatic sync is under way. */
  async idle(): Promise<void> {
    await this.#flushing;
  }

  /**
   * Flushes a dirty store. Errors are ignored: the data stays dirty, and the next sync, flush or close reports them.
   */
  #flushIfNeeded(): Promise<void> {
    if (this.#flushing !== undefined) return this.#flushing;
    if (this.#blobstore.isClosed || this.#blobstore.isSynced) return Promise.resolve();
    this.#flushing = this.#flush()
      .catch(() => undefined)
      .finally(() => {
        this.#flushing = undefined;
      });
    return this.#flushing;
  }

  #flushNow(): void {
    if (!this.#blobstore.isClosed && !this.#blobstore.isSynced) runSync(this.#blobstore.flush());
  }
}
