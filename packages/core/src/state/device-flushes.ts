/**
 * Flushes of the store's device. One is in flight at a time, and those who ask meanwhile share the next one. A flush
 * serves everyone whose writes had ended before it began, whoever began it.
 *
 * A synchronous device ends a flush in the call that begins it, so nobody could ask meanwhile. There, an operation in
 * promise form first lets the event loop turn, and everyone who asks in that turn shares the flush (`gather`). An
 * operation in synchronous form does not wait.
 */

import type { BlockDevice, DeviceChannel } from '../device/block-device.js';
import { ENDED, type Steps, type Waitable } from '../steps/steps.js';

interface Failure {
  readonly number: number;
  readonly error: unknown;
}

/** Metadata thread. */
export class DeviceFlushes {
  readonly #channel: DeviceChannel;
  readonly #gathers: boolean;
  /** The number of flushes that have begun. */
  #begun = 0;
  /** The number of the last flush that has succeeded; 0: none. */
  #succeeded = 0;
  /** Of the flushes that have failed: the last one before flush `#succeeded`, and the last one after it. */
  #failedBefore: Failure | undefined;
  #failedAfter: Failure | undefined;
  /** Resolved when the flush that is in flight has ended, whether it succeeded or failed. */
  #inFlight: Promise<void> | undefined;
  #turn: Promise<void> | undefined;
  readonly #nextTurn: Waitable<void> = { promise: () => this.#sharedTurn(), block: () => undefined };

  /** @param channel - a channel of `device` */
  constructor(device: BlockDevice, channel: DeviceChannel) {
    this.#channel = channel;
    this.#gathers = device.synchronous && device.cacheOwner !== 'process'; // memory has nothing to flush
  }

  /** The number of flushes that have begun: names this moment for `since`. */
  get begun(): number {
    return this.#begun;
  }

  /** Lets the event loop turn once if others can then share the next flush; otherwise does not wait. */
  *gather(): Steps<void> {
    if (this.#gathers) yield this.#nextTurn;
  }

  /** Makes everything durable that has been written until now. Throws the error of the device. */
  flush(): Steps<void> {
    return this.#gathers ? this.#gatherAndFlush(this.#begun) : this.since(this.#begun);
  }

  *#gatherAndFlush(begun: number): Steps<void> {
    yield this.#nextTurn;
    yield* this.since(begun);
  }

  /**
   * Makes everything durable that had been written at an earlier moment, if no flush has done so since. Throws the
   * error of a flush that began after that moment and failed: some devices lose data then, and the next flush succeeds.
   * @param begun - `begun` at that moment
   */
  since(begun: number): Steps<void> {
    if (this.#inFlight === undefined && !this.#isServed(begun)) this.#begin();
    return this.#inFlight === undefined && this.#isServed(begun) ? ENDED : this.#sinceLater(begun);
  }

  *#sinceLater(begun: number): Steps<void> {
    while (!this.#isServed(begun)) {
      if (this.#inFlight === undefined) this.#begin();
      else yield this.#inFlight;
    }
  }

  /** True if a flush that began after a moment has succeeded. Throws the error of one that has failed. */
  #isServed(begun: number): boolean {
    const isServed = this.#succeeded > begun;
    const failure = isServed ? this.#failedBefore : this.#failedAfter;
    if (failure !== undefined && failure.number > begun) throw failure.error;
    return isServed;
  }

  /**
   * Begins a flush. A handler of its promise records the end, because a synchronous caller cannot wait for it.
   */
  #begin(): void {
    const number = ++this.#begun;
    try {
      const answer = this.#channel.flush();
      if (!(answer instanceof Promise)) {
        this.#succeed(number);
        return;
      }
      this.#inFlight = answer
        .then(
          () => this.#succeed(number),
          (error: unknown) => this.#fail(number, error),
        )
        .then(() => {
          this.#inFlight = undefined;
        });
    } catch (error) {
      this.#fail(number, error);
    }
  }

  #succeed(number: number): void {
    this.#succeeded = number;
    this.#failedBefore = this.#failedAfter ?? this.#failedBefore;
    this.#failedAfter = undefined;
  }

  #fail(number: number, error: unknown): void {
    this.#failedAfter = { number, error };
  }

  #sharedTurn(): Promise<void> {
    this.#turn ??= new Promise((resolve) => {
      setImmediate(() => {
        this.#turn = undefined;
        resolve();
      });
    });
    return this.#turn;
  }
}
