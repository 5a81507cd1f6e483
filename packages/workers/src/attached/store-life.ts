/**
 * How a thread with a channel finds out that its store has ended, and lets go of its file.
 *
 * A metadata thread that is terminated, or runs out of memory, tells nobody. So each thread looks for it in the system's list
 * (Linux), where it is until it cannot do anything any more: at its first call more than `LOOK_MS` after the last look, between
 * two looks of a call that waits, and, while its event loop turns, every `WATCH_MS`. Who sees that it is gone marks the store as
 * failed; all others then see the mark, in the word of each blob that every operation loads.
 *
 * Looking at the clock in each call would be felt. Of calls that follow each other in less than `BURST_CALL_MS` only each
 * `BURST_CALLS`th does; so up to 15 calls of a burst may come too late.
 *
 * A thread that has found the end freezes all blobs for good (`SharedStore.shutOut`), which keeps itself out of them, too. When it
 * is outside of all, it cannot write any more, and gives its share of the lock on the store's file back.
 */

import { type SharedStore, STORE_END, type StoreLife } from '@blobyard/core';
import { dropStoreShare } from '@blobyard/io/internal/store-share';
import type { StoreHandle } from '../api/store-handle.js';
import { ThreadProbe } from '../threads/thread-life.js';

/** Shortest time between two looks at the system's list, in milliseconds: one takes 3 us, and where it is rare ten times that. */
const LOOK_MS = 20;
/** How often a thread looks whose event loop turns, in milliseconds. */
const WATCH_MS = 100;
/** Calls of a burst to one look at the clock, which takes 40 ns. */
const BURST_CALLS = 16;
/** Calls that are no longer than this one apart, in milliseconds, are a burst. */
const BURST_CALL_MS = 0.008;

export class ThreadLife implements StoreLife {
  readonly #shared: SharedStore;
  readonly #row: number;
  readonly #metadataThread: ThreadProbe;
  readonly #shareWindow: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Calls from one look at the clock to the next, and how many are left. */
  #calls = 1;
  #callsLeft = 1;
  #clockMs = Number.NEGATIVE_INFINITY;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #isShutOut = false;
  /** Nothing is left to be done. */
  #hasLeft = false;

  /** @param shared - of the thread that has the row */
  constructor(handle: Pick<StoreHandle, 'metadataThread' | 'shareWindow'>, shared: SharedStore, row: number) {
    this.#shared = shared;
    this.#row = row;
    this.#metadataThread = new ThreadProbe(handle.metadataThread);
    this.#shareWindow = handle.shareWindow;
  }

  glance(): void {
    if (--this.#callsLeft <= 0) this.look();
  }

  look(): void {
    const now = performance.now();
    this.#calls = now - this.#clockMs < this.#calls * BURST_CALL_MS ? BURST_CALLS : 1;
    this.#callsLeft = this.#calls;
    this.#clockMs = now;
    if (now - this.#lookedMs < LOOK_MS) return;
    this.#lookedMs = now;
    if (this.#hasLeft || this.#shared.end !== STORE_END.OPEN) return;
    if (!this.#metadataThread.isAlive()) this.#shared.markFailed();
  }

  ended(): void {
    if (this.#hasLeft) return;
    // Who has marked the store may be about to freeze its blobs: before that is done, this thread could go in again.
    if (!this.#isShutOut) this.#shared.shutOut();
    this.#isShutOut = true;
    if (!this.#shared.channels.isInside(this.#row)) this.left();
  }

  left(): void {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.#dropShare();
    clearInterval(this.#timer);
    this.#metadataThread.close();
  }

  /** Looks from time to time, also when there are no calls: the thread's event loop turns. */
  watch(): void {
    this.#timer = setInterval(() => {
      this.look();
      if (this.#shared.end !== STORE_END.OPEN) this.ended();
    }, WATCH_MS);
    this.#timer.unref();
  }

  #dropShare(): void {
    const descriptor = this.#shared.channels.share(this.#row);
    if (descriptor === undefined || this.#shareWindow === undefined) return;
    dropStoreShare(descriptor, this.#shareWindow);
    this.#shared.channels.clearShare(this.#row, descriptor);
  }
}
