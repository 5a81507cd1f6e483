/**
 * Runs operations of the engine on a simulated device, one step after another, all chosen by the seed: which request ends
 * next, when the next operation starts, when the power goes. Between two steps only microtasks run, whose order is fixed; so
 * a seed always plays the same.
 */

import { BlobstoreError, type ErrorCode, type Pause, run, type Steps } from '@blobyard/core';
import { mix } from '../hash.js';
import type { Random } from '../random.js';
import type { SimDevice } from './sim-device.js';

/** Something was found that must not be. */
export class Finding extends Error {}

/** How a drive has ended. */
export type DriveEnd = 'done' | 'cut';

/** Turns of the microtask queue that are given to operations before they are taken to wait. */
const PATIENCE_TURNS = 64;
const TRACE_LINES_KEPT = 60;

export class Scheduler {
  readonly random: Random;
  readonly #device: SimDevice;
  readonly #isTracing: boolean;
  /** Operations under way. */
  #underWay = 0;
  #finding: Finding | undefined;
  #hash = 0;
  /** What happened last, for a report. */
  readonly #lines: string[] = [];
  /** Requests completed. */
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

  /** A number that differs when anything went differently. */
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

  /** Notes what was found; the drive ends with it. */
  report(text: string): void {
    this.#finding ??= new Finding(text);
  }

  /** What has run so far was in order. */
  requireNoFinding(): void {
    if (this.#finding) throw this.#finding;
  }

  /** Runs steps of the engine; at their pauses others get a turn. */
  steps<T>(steps: Steps<T>): Promise<T> {
    return run(steps, PAUSE);
  }

  /** Starts an operation, which ends on its own; what it throws is a finding. */
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

  /** Whether an operation succeeds; failing is allowed with some codes only. */
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
   * Lets operations go on, until `isDone`, or until so many requests have been completed: then the power is about to go.
   * @param mayStart - starts an operation, or answers false; called now and then
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

  /** Runs one operation to its end, with nothing else under way; answers `cut` when it took too many requests. */
  async driveOne(name: string, operation: () => Promise<void>, requestsMax: number): Promise<DriveEnd> {
    this.start(name, operation);
    return await this.drive(() => this.#underWay === 0, requestsMax);
  }

  /** Lets all microtasks run that can. */
  async calm(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.requireNoFinding();
  }

  /** The operations under way will never end. */
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
