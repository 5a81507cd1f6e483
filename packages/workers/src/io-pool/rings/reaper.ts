/**
 * When a client takes answers. It polls from turn to turn of the event loop, which so goes on; after a while without an
 * answer it sleeps until a worker rings. Polling keeps the process alive, sleeping does not: `onBusy` and `onIdle` are for
 * that. `onIdle` comes a turn after the last answer, because most often that brings the next request at once.
 */

import { Bell, type BellHooks } from './bell.js';
import { CLIENT, words } from './ring-layout.js';

/** Answers that are taken in one turn of the event loop. */
const REAPS_MAX = 256;
/** How long it polls after the last answer, beyond the time that workers should take. (Measured by `first-write-pool`.) */
const POLL_MS = 0.02;
/** The longest that it counts on workers' being about to answer. */
const EXPECTED_MS_MAX = 0.3;

/** What the reaper asks of its client. */
export interface Reaped {
  /** Takes at most so many answers; answers how many. */
  reap(limit: number): number;
  hasAnswers(): boolean;
  /** Requests that are to be answered, or still wait to be given to a worker. */
  outstanding(): number;
  /** How long the workers should take for what they have. */
  expectedMs(): number;
  /** There is nothing to do for now. */
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
  /** Turns, one after another, that found nothing outstanding; the first of them may have taken the last answers. */
  #idleTurns = 0;
  /** When answers last ceased to come; 0 while they come. */
  #quietSince = 0;

  constructor(block: SharedArrayBuffer, options: ReaperOptions, client: Reaped) {
    this.#client = client;
    this.#options = options;
    this.#bell = new Bell(words(block, 0, CLIENT.WORDS), CLIENT.ASLEEP, CLIENT.BELL, options.hooks);
  }

  /** Requests were made, or given up: polls, if it does not already. */
  start(): void {
    if (!this.#isPolling) this.#begin();
  }

  /** There may be no more answers, or not soon: a sleep ends, or what is left of one. */
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
      // What brought the last answers may bring requests, when its turn comes after this.
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

  /** False when there was something to do after all. */
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

  /** The bell has rung, now or for a sleep that something else has ended. */
  readonly #wake = (): void => {
    if (!this.#isAsleep) return;
    this.#isAsleep = false;
    this.#isPolling = true;
    this.#quietSince = 0;
    this.#poll();
  };
}
