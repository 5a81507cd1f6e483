/**
 * Decides when a client takes answers. It never polls. It sleeps until a worker rings, takes the answers that are there
 * (up to 256), and sleeps again when the code that waited for them has run: at the *end of the turn*, which is a tick
 * of Node.js after all microtasks. If there are answers by then, it takes them in the next turn of the event loop; so
 * the event loop turns however fast the workers are.
 *
 * A sleep does not keep the process alive; for that there are `onBusy` and `onIdle`. `onIdle` is called one turn of the
 * event loop after the last answer, because an answer is often followed by the next request at once.
 */

import { Bell, type BellHooks } from './bell.js';
import { CLIENT, words } from './ring-layout.js';

/** The most answers that are taken in one turn of the event loop. */
const REAPS_MAX = 256;

/** What the reaper needs of its client. */
export interface Reaped {
  /** Takes at most `limit` answers. Returns how many it took. */
  reap(limit: number): number;
  hasAnswers(): boolean;
  /** The number of requests that have not been answered, including those that no worker has yet. */
  outstanding(): number;
  /** Called at the end of the turn, when `isTaking` is false again: rings the workers that have new requests. */
  endTurn(): void;
  /** Called about one turn of the event loop after the last answer, if no request is outstanding. */
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
  /** The end of the turn is still to come. The reaper sleeps then, if anything is outstanding. */
  #isInTurn = false;
  #isTaking = false;
  #isAsleep = false;
  #isBusy = false;
  /** `#rest` is scheduled. */
  #isResting = false;

  constructor(block: SharedArrayBuffer, options: ReaperOptions, client: Reaped) {
    this.#client = client;
    this.#options = options;
    this.#bell = new Bell(words(block, 0, CLIENT.WORDS), CLIENT.ASLEEP, CLIENT.BELL, options.hooks);
  }

  /**
   * True from the taking of several answers until the end of that turn. The code that waited for them runs now, and may
   * make as many requests. So the client does not ring for each of them, but once at the end of the turn.
   */
  get isTaking(): boolean {
    return this.#isTaking;
  }

  /** Called when requests were made, or have failed: waits for answers, if there are any to come. */
  start(): void {
    if (!this.#isBusy && this.#client.outstanding() > 0) {
      this.#isBusy = true;
      this.#options.onBusy?.();
    }
    if (!this.#isBusy || this.#isInTurn) return;
    if (this.#isAsleep && this.#client.outstanding() > 0) return;
    this.#isInTurn = true;
    queueMicrotask(this.#endTurnLater);
  }

  /** Ends a sleep that may be left. Called when answers may never come, or not for long. */
  dismiss(): void {
    this.#bell.dismiss();
  }

  readonly #take = (): void => {
    this.#isInTurn = true;
    this.#isTaking = this.#client.reap(REAPS_MAX) > 1;
    queueMicrotask(this.#endTurnLater);
  };

  /**
   * Called as a microtask: a tick that a microtask asks for comes after all microtasks; any other comes before them.
   */
  readonly #endTurnLater = (): void => process.nextTick(this.#endTurn);

  readonly #endTurn = (): void => {
    this.#isInTurn = false;
    this.#isTaking = false;
    this.#client.endTurn();
    if (this.#client.outstanding() > 0) this.#sleep();
    else if (!this.#isResting) {
      this.#isResting = true;
      setImmediate(this.#rest);
    }
  };

  /** Sleeps. If answers have come by now, takes them in the next turn of the event loop instead. */
  #sleep(): void {
    if (this.#isAsleep) return;
    this.#isAsleep = this.#bell.sleep(this.#hasAnswers, this.#wake);
    if (this.#isAsleep) return;
    this.#isInTurn = true;
    setImmediate(this.#take);
  }

  readonly #rest = (): void => {
    this.#isResting = false;
    if (this.#isInTurn || this.#client.outstanding() > 0) return;
    if (this.#isAsleep) {
      this.#isAsleep = false;
      this.#bell.rise();
    }
    this.#isBusy = false;
    this.#client.rest();
    this.#options.onIdle?.();
  };

  readonly #hasAnswers = (): boolean => this.#client.hasAnswers();

  /** The bell has rung: for this sleep, or for one that something else has ended. */
  readonly #wake = (): void => {
    if (!this.#isAsleep) return;
    this.#isAsleep = false;
    this.#take();
  };
}
