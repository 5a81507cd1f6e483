/** Watches over the threads that have rows of the channel table: nobody else tells that one of them is dead. Metadata thread. */

import { CHANNELS_MAX, type SharedStore } from '@blobyard/core';
import { isAlive } from '../threads/thread-life.js';

/** How often threads are looked after, in milliseconds. */
const WATCH_MS = 100;

export class ThreadWatch {
  readonly #shared: SharedStore;
  readonly #onDead: (row: number) => void;
  #timer: NodeJS.Timeout | undefined;

  /** @param onDead - called for each dead thread's row at every look, as long as the row is not given back */
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

  /** A thread that says that it leaves has done nothing since; where the system tells, its end is waited for. */
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
