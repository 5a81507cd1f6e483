/**
 * Decides when a client takes answers. It polls once in each turn of the event loop. After a while without an answer it
 * sleeps until a worker rings. Polling keeps the process alive, sleeping does not; for that there are `onBusy` and
 * `onIdle`. `onIdle` is called one turn after the last answer, because an answer is often followed by the next request
 * at once.
 */

import { Bell, type BellHooks } from './bell.js';
import { CLIENT, words } from './ring-layout.js';

/** The most answers that are taken in one turn of the event loop. */
const REAPS_MAX = 256;
/**
 * How long it polls after the last answer, in addition to the workers' expected time. (Measured by `first-write-pool`.)
 */
const POLL_MS = 0.02;
/** The most of the workers' expected time that counts. */
const EXPECTED_MS_MAX = 0.3;

/** What the reaper needs of its client. */
export interface Reaped {
  /** Takes at most `limit` answers. Returns how many it took. */
  reap(limit: number): number;
  hasAnswers(): boolean;
  /** The number of requests that have not been answered, including those that no worker has yet. */
  outstanding(): number;
  /** The expected time until the workers have done all their requests. */
  expectedMs(): number;
  /** Called when no request is outstanding. */
  rest(): void;
}

export interface ReaperOptions {
  onBusy?(): void;
  onIdle?(): void;
  readonly hooks?: BellHooks;
}

export class Reaper {
  readonly #client: Reaped;
  readonly #options: ReaperOptions;
  readonly #bell: Bell;
  #isPolling = false;
  #isAsleep = false;
  #isBusy = false;
  /** The number of consecutive turns with nothing outstanding; the first of them may have taken the last answers. */
  #idleTurns = 0;
  /** Since when no answers have come; 0 while they come. */
  #quietSince = 0;

  constructor(block: SharedArrayBuffer, options: ReaperOptions, client: Reaped) {
    this.#client = client;
    this.#options = options;
    this.#bell = new Bell(words(block, 0, CLIENT.WORDS), CLIENT.ASLEEP, CLIENT.BELL, options.hooks);
  }

  /** Starts polling, if it does not already. Called when requests were made, or have failed. */
  start(): void {
    if (!this.#isPolling) this.#begin();
  }

  /** Ends a wait that may be left. Called when there may be no more answers, or not soon. */
  dismiss(): void {
    this.#bell.dismiss();
  }

  #begin(): void {
    if (!this.#isBusy && this.#client.outstanding() > 0) {
      this.#isBusy = true;
      this.#options.onBusy?.();
    }
    if (!this.#isBusy) return;
    if (this.#isAsleep) {
      this.#isAsleep = false;
      this.#bell.rise();
    }
    this.#isPolling = true;
    this.#quietSince = 0;
    setImmediate(this.#poll);
  }

  readonly #poll = (): void => {
    const reaped = this.#client.reap(REAPS_MAX);
    if (this.#client.outstanding() === 0) {
      // The callbacks of the last answers may make new requests; they may run only after this.
      if (reaped > 0) this.#idleTurns = 0;
      if (this.#idleTurns++ > 0) {
        this.#end();
        return;
      }
    } else {
      this.#idleTurns = 0;
      if (reaped > 0) this.#quietSince = 0;
      else if (this.#isQuiet() && this.#sleep()) return;
    }
    setImmediate(this.#poll);
  };

  #isQuiet(): boolean {
    const now = performance.now();
    if (this.#quietSince === 0) this.#quietSince = now;
    const quiet = now - this.#quietSince;
    return quiet > POLL_MS && quiet > POLL_MS + Math.min(EXPECTED_MS_MAX, this.#client.expectedMs());
  }

  /** Sleeps. Returns false when there was an answer after all. */
  #sleep(): boolean {
    this.#isAsleep = this.#bell.sleep(this.#hasAnswers, this.#wake);
    this.#isPolling = !this.#isAsleep;
    this.#quietSince = 0;
    return this.#isAsleep;
  }

  #end(): void {
    this.#isPolling = false;
    this.#isBusy = false;
    this.#idleTurns = 0;
    this.#client.rest();
    this.#options.onIdle?.();
  }

  readonly #hasAnswers = (): boolean => this.#client.hasAnswers();

  /** The bell has rung: for this sleep, or for one that something else has ended. */
  readonly #wake = (): void => {
    if (!this.#isAsleep) return;
    this.#isAsleep = false;
    this.#isPolling = true;
    this.#quietSince = 0;
    this.#poll();
  };
}
