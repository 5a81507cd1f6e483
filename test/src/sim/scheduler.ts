/**
 * Runs operations of the engine on a simulated device, step by step. The seed decides which request ends next, when the
 * next operation starts, and when the power is cut. Between two steps only microtasks run, whose order is fixed. So a
 * seed always plays the same.
 */

import { BlobstoreError, type ErrorCode, type Pause, run, type Steps } from '@blobyard/core';
import { mix } from '../hash.js';
import type { Random } from '../random.js';
import type { SimDevice } from './sim-device.js';

/** A violation of the model. */
export class Finding extends Error {}

/**
 * `done`: the condition of a drive was reached. `cut`: its number of requests was reached, and the power can be cut.
 */
export type DriveEnd = 'done' | 'cut';

/** The number of turns of the microtask queue after which all operations count as waiting. */
const PATIENCE_TURNS = 64;
const TRACE_LINES_KEPT = 60;

export class Scheduler {
  readonly random: Random;
  readonly #device: SimDevice;
  readonly #isTracing: boolean;
  /** The number of operations under way. */
  #underWay = 0;
  #finding: Finding | undefined;
  #hash = 0;
  /** The last lines of the log, for a report. */
  readonly #lines: string[] = [];
  /** The number of completed requests. */
  completed = 0;

  constructor(random: Random, device: SimDevice, isTracing: boolean) {
    this.random = random;
    this.#device = device;
    this.#isTracing = isTracing;
    device.onRequest = (event, kind, at, length) => {
      this.#mix(kind.charCodeAt(0) ^ (event === 'done' ? 0x100 : 0));
      this.#mix(at);
      this.#mix(length);
      if (isTracing) this.#print(`    ${event} ${kind}${kind === 'flush' ? '' : ` ${at} +${length}`}`);
    };
  }

  get underWay(): number {
    return this.#underWay;
  }

  /** A hash of the log so far: it differs if anything went differently. */
  get hash(): number {
    return this.#hash >>> 0;
  }

  get lastLines(): readonly string[] {
    return this.#lines;
  }

  /** Writes a line into the log of this seed. */
  log(line: string): void {
    for (let at = 0; at < line.length; at++) this.#mix(line.charCodeAt(at));
    if (this.#lines.push(line) > TRACE_LINES_KEPT) this.#lines.shift();
    this.#print(line);
  }

  /** Records a finding. The drive then ends with it. */
  report(text: string): void {
    this.#finding ??= new Finding(text);
  }

  /** Throws the finding, if there is one. */
  requireNoFinding(): void {
    if (this.#finding) throw this.#finding;
  }

  /** Runs steps of the engine. At their pauses other operations may go on. */
  steps<T>(steps: Steps<T>): Promise<T> {
    return run(steps, PAUSE);
  }

  /** Starts an operation. If it throws, this is a finding. */
  start(name: string, operation: () => Promise<void>): void {
    this.#underWay++;
    this.log(`${this.completed}: ${name}`);
    operation().then(
      () => {
        this.#underWay--;
        this.log(`${this.completed}: ended ${name}`);
      },
      (error: unknown) => {
        this.#underWay--;
        this.report(`${name}: ${describe(error)}`);
      },
    );
  }

  /** Whether an operation succeeds. Throws if it fails with another code than the allowed ones. */
  async succeeds(action: Promise<unknown>, codes: readonly ErrorCode[]): Promise<boolean> {
    try {
      await action;
      return true;
    } catch (error) {
      if (!(error instanceof BlobstoreError) || !codes.includes(error.code)) throw error;
      this.log(`${this.completed}: ${error.code}`);
      return false;
    }
  }

  /**
   * Lets operations go on until `isDone`, or until `requestsMax` requests have been completed: then the power can be
   * cut.
   * @param mayStart - starts an operation, or returns false; called from time to time
   */
  async drive(
    isDone: () => boolean,
    requestsMax: number,
    restraint = 1,
    mayStart: () => boolean = () => false,
  ): Promise<DriveEnd> {
    const end = this.completed + requestsMax;
    for (;;) {
      this.requireNoFinding();
      if (isDone()) return 'done';
      if (this.completed >= end) return 'cut';
      const isWaiting = this.#device.inFlightCount > 0;
      const starts = (!isWaiting || this.random.below(restraint) === 0) && mayStart();
      if (!starts && isWaiting) this.#completeOne();
      else if (!starts) await this.#waitForWork(isDone);
      for (let turns = this.random.below(6); turns > 0; turns--) await undefined;
    }
  }

  /** Runs one operation alone to its end. Returns `cut` if it needs more than `requestsMax` requests. */
  async driveOne(name: string, operation: () => Promise<void>, requestsMax: number): Promise<DriveEnd> {
    this.start(name, operation);
    return await this.drive(() => this.#underWay === 0, requestsMax);
  }

  /** Lets all pending microtasks run. */
  async calm(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.requireNoFinding();
  }

  /** Forgets the operations under way, which will never end after a cut. */
  forget(): void {
    this.#underWay = 0;
  }

  #completeOne(): void {
    this.completed++;
    this.#device.completeOne(this.random);
  }

  async #waitForWork(isDone: () => boolean): Promise<void> {
    for (let turn = 0; turn < PATIENCE_TURNS; turn++) {
      await undefined;
      if (this.#device.inFlightCount > 0 || isDone()) return;
    }
    const before = this.#underWay;
    await this.calm();
    if (this.#device.inFlightCount > 0 || this.#underWay < before || before === 0 || isDone()) return;
    throw new Finding(`${before} operations wait for ever`);
  }

  #mix(value: number): void {
    this.#hash = mix(this.#hash ^ value);
  }

  #print(line: string): void {
    if (this.#isTracing) console.log(line);
  }
}

const PAUSE: Pause = () => Promise.resolve();

function describe(error: unknown): string {
  if (error instanceof Finding) return error.message;
  if (error instanceof BlobstoreError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
