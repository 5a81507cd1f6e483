/**
 * How a thread with a channel finds out that its store has ended, and releases its share of the lock on the store's
 * file.
 *
 * A metadata thread that is terminated, or runs out of memory, sends no message. So each thread checks whether it is
 * still in the system's list of threads (Linux). A thread stays in that list until it can do nothing more. The check is
 * made in the first call more than `LOOK_MS` after the last check, between two polls of a call that waits, and every
 * `WATCH_MS` while the event loop turns. The first thread that finds the metadata thread gone marks the store as
 * failed. All others see the mark in a word of each blob, which every operation loads.
 *
 * Reading the clock in each call would slow the calls down. Of calls that follow each other in less than
 * `BURST_CALL_MS` only every `BURST_CALLS`th reads it. So up to 15 calls of a burst may miss the end.
 *
 * A thread that has found the end freezes all blobs for good (`SharedStore.shutOut`). After that, no thread can enter a
 * blob, including this one. When it has left all blobs, it cannot write any more, and releases its share of the lock on
 * the store's file.
 */

import { type SharedStore, STORE_END, type StoreLife } from '@blobyard/core';
import { dropStoreShare } from '@blobyard/io/internal/store-share';
import type { StoreHandle } from '../api/store-handle.js';
import { ThreadProbe } from '../threads/thread-life.js';

/**
 * The shortest time between two checks of the system's list, in milliseconds. A check takes 1 us in a loop of calls,
 * 6 us if a few milliseconds of other work lie before it, and up to 25 us if its code has not run for a longer time.
 */
const LOOK_MS = 1;
/** How often a thread whose event loop turns checks, in milliseconds. */
const WATCH_MS = 100;
/** In a burst, calls for each read of the clock. A read takes 40 ns. */
const BURST_CALLS = 16;
/** The longest time between two calls of a burst, in milliseconds. */
const BURST_CALL_MS = 0.008;

/** One for each channel. Only the channel's thread uses it. */
export class ThreadLife implements StoreLife {
  readonly #shared: SharedStore;
  readonly #row: number;
  readonly #metadataThread: ThreadProbe;
  readonly #shareWindow: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Calls from one read of the clock to the next, and how many of them are left. */
  #calls = 1;
  #callsLeft = 1;
  #clockMs = Number.NEGATIVE_INFINITY;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #doCallsLook = true;
  #isShutOut = false;
  /** The thread has left all blobs of the ended store, and has released its share. */
  #hasLeft = false;

  /** @param shared - that of the thread that has the row */
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
    this.#callsLeft = this.#doCallsLook ? this.#calls : Number.POSITIVE_INFINITY;
    this.#clockMs = now;
    if (now - this.#lookedMs < LOOK_MS) return;
    this.#lookedMs = now;
    if (this.#hasLeft || this.#shared.end !== STORE_END.OPEN) return;
    if (!this.#metadataThread.isAlive()) this.#shared.markFailed();
  }

  ended(): void {
    if (this.#hasLeft) return;
    // The thread that marked the store may not have frozen its blobs yet. Until then this thread could enter one again.
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

  /**
   * Starts the checks from the event loop, which are also made when there are no calls.
   * @param doCallsLook - false: calls do not check. For an I/O worker: its event loop turns every few milliseconds, and
   * its clients learn of the end from other threads. A check there takes as long as a request
   */
  watch(doCallsLook = true): void {
    this.#doCallsLook = doCallsLook;
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
