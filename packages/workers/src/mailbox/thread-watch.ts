/**
 * Finds dead threads among those that have rows of the channel table. A thread that dies sends no message. Metadata
 * thread.
 */

import { CHANNELS_MAX, type SharedStore } from '@blobyard/core';
import { isAlive } from '../threads/thread-life.js';

/** How often the threads are checked, in milliseconds. */
const WATCH_MS = 100;

export class ThreadWatch {
  readonly #shared: SharedStore;
  readonly #onDead: (row: number) => void;
  #timer: NodeJS.Timeout | undefined;

  /** @param onDead - called at every check for the row of each dead thread, until the row is released */
  constructor(shared: SharedStore, onDead: (row: number) => void) {
    this.#shared = shared;
    this.#onDead = onDead;
  }

  start(): void {
    this.#timer = setInterval(() => this.#look(), WATCH_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /**
   * True if the thread that has a row is dead. A thread whose row is marked as leaving does nothing more. It counts as
   * dead at once only if the system cannot tell when it ends (its id is 0); otherwise once it has ended.
   */
  isDead(row: number): boolean {
    const { channels } = this.#shared;
    if (!channels.isTaken(row)) return false;
    const thread = channels.thread(row);
    return !isAlive(thread) || (thread.id === 0 && channels.isLeaving(row));
  }

  #look(): void {
    for (let row = 0; row < CHANNELS_MAX; row++) if (this.isDead(row)) this.#onDead(row);
  }
}
