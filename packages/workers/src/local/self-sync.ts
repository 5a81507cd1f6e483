/**
 * Syncs a store without being asked: when its process ends in good order, and at intervals on a device that does not say who
 * keeps what was written. There a process that is killed loses the first writes of clusters since the last sync; this bounds
 * how many.
 */

import { type Blobstore, runSync } from '@blobyard/core';
import { atProcessEnd } from '../threads/process-end.js';

/** Milliseconds between syncs on a device that may lose what a process leaves. */
const INTERVAL_MS_DEFAULT = 5000;

export class SelfSync {
  readonly #blobstore: Blobstore;
  readonly #flush: () => Promise<void>;
  readonly #forget: (() => void) | undefined;
  readonly #timer: NodeJS.Timeout | undefined;
  #flushing: Promise<void> | undefined;

  /**
   * @param flush - makes everything durable that was acknowledged
   * @param intervalMs - 0: never; undefined: as the device needs it
   */
  constructor(blobstore: Blobstore, flush: () => Promise<void>, intervalMs: number | undefined) {
    this.#blobstore = blobstore;
    this.#flush = flush;
    const { cacheOwner, synchronous } = blobstore.device;
    if (cacheOwner === 'process') return; // nothing is left of it that a sync could be for
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

  /** Resolves when it is not syncing. */
  async idle(): Promise<void> {
    await this.#flushing;
  }

  /** An error is kept for who syncs, flushes or closes: what could not be written stays to be written. */
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
