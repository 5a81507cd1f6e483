/**
 * The used lock, the pool of clusters, the mask of pages and the claim logs, used by four threads that are killed at
 * random moments: nothing ever has two owners, and at the end exactly the claims of the living threads are allocated.
 */

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { NONE_U32 } from '@blobyard/core';
import { expect, test } from 'vitest';
import { numbers } from '../api/numbers.js';
import { printedSeed } from '../api/support.js';
import { ThreadYard, until } from './actors.js';
import type { ClaimFuzzData, ClaimFuzzResult } from './claim-fuzz-worker.js';
import { CLAIM_TABLE } from './claim-table.js';

const WORKER = new URL('../../dist/threads/claim-fuzz-worker.js', import.meta.url);
const THREADS = 4;
const KILLS = 12;
const STEPS_BETWEEN_MAX = 500;

interface Running {
  readonly worker: Worker;
  readonly number: number;
  readonly row: number;
}

class ClaimFuzz {
  readonly table = new Int32Array(new SharedArrayBuffer(CLAIM_TABLE.WORDS * 4));
  readonly random: (limit: number) => number;
  readonly running: Running[] = [];
  readonly errors: unknown[] = [];
  readonly #yard: ThreadYard;
  #count = 0;

  constructor(yard: ThreadYard, seed: number) {
    this.#yard = yard;
    this.random = numbers(seed);
    this.#pause(true);
  }

  end(): void {
    Atomics.store(this.table, CLAIM_TABLE.STOP, 2);
    Atomics.notify(this.table, CLAIM_TABLE.STOP);
  }

  #pause(isPaused: boolean): void {
    Atomics.store(this.table, CLAIM_TABLE.PAUSE, isPaused ? 1 : 0);
    Atomics.notify(this.table, CLAIM_TABLE.PAUSE);
  }

  async start(): Promise<void> {
    const number = ++this.#count;
    const data: ClaimFuzzData = { handle: this.#yard.handle, seed: this.random(2 ** 31), number, table: this.table };
    const worker = new Worker(WORKER, { workerData: data });
    worker.on('error', (error) => this.errors.push(error));
    const [row] = await once(worker, 'message');
    this.running.push({ worker, number, row });
  }

  /** Lets a random thread work for a random time, kills it, and starts another one in its place. */
  async killOne(): Promise<void> {
    const [{ worker, number, row }] = this.running.splice(this.random(this.running.length), 1);
    const steps = () => Atomics.load(this.table, CLAIM_TABLE.STEPS + number);
    const enough = steps() + this.random(STEPS_BETWEEN_MAX);
    this.#pause(false);
    await until(() => steps() >= enough || this.errors.length > 0);
    Atomics.store(this.table, CLAIM_TABLE.DYING + number, 1);
    await worker.terminate();
    await this.#yard.rowFree(row); // meanwhile the others go on, or wait for the lock of the dead thread
    this.#pause(true);
    await this.start();
  }

  async stop(): Promise<ClaimFuzzResult[]> {
    const results = this.running.map(({ worker }) => once(worker, 'message'));
    Atomics.store(this.table, CLAIM_TABLE.STOP, 1);
    this.#pause(false);
    return (await Promise.all(results)).map(([result]) => result as ClaimFuzzResult);
  }
}

function expectBits(yard: ThreadYard, taken: ReadonlySet<number>, used: ReadonlySet<number>): void {
  const { shared } = yard.store.engine.blobstore;
  shared.locked(() => {
    const { clusters, pages } = shared;
    const found = (count: number, isTaken: (at: number) => boolean) =>
      Array.from({ length: count }, (_, at) => at).filter(isTaken);
    const takenNow = found(clusters.capacity, (at) => clusters.isAllocated(at));
    const usedNow = found(pages.capacity, (at) => pages.isUsed(at));
    expect(takenNow).toEqual([...taken].sort((a, b) => a - b));
    expect(usedNow).toEqual([...used].sort((a, b) => a - b));
    expect(clusters.freeCount).toBe(clusters.capacity - takenNow.length);
    expect(clusters.countFree()).toBe(clusters.freeCount);
    const lowest = (count: number, isTaken: (at: number) => boolean) => {
      for (let at = 0; at < count; at++) if (!isTaken(at)) return at;
      return NONE_U32;
    };
    expect(clusters.findFree()).toBe(lowest(clusters.capacity, (at) => clusters.isAllocated(at)));
    expect(pages.findFree(0)).toBe(lowest(pages.capacity, (at) => pages.isUsed(at)));
  });
}

function takenNow(yard: ThreadYard): { taken: Set<number>; used: Set<number> } {
  const { shared } = yard.store.engine.blobstore;
  return shared.locked(() => {
    const taken = new Set<number>();
    const used = new Set<number>();
    for (let at = 0; at < shared.clusters.capacity; at++) if (shared.clusters.isAllocated(at)) taken.add(at);
    for (let at = 0; at < shared.pages.capacity; at++) if (shared.pages.isUsed(at)) used.add(at);
    return { taken, used };
  });
}

test('after kills at random moments, exactly the claims of the living threads are allocated', async () => {
  const yard = await ThreadYard.open();
  const before = takenNow(yard);
  const fuzz = new ClaimFuzz(yard, printedSeed('claim fuzz'));
  for (let thread = 0; thread < THREADS; thread++) await fuzz.start();
  for (let kill = 0; kill < KILLS && fuzz.errors.length === 0; kill++) await fuzz.killOne();
  const results = await fuzz.stop();
  expect(fuzz.errors).toEqual([]);
  const claims = results.flatMap((result) => result.claims);
  const pages = claims.map(({ extentPage }) => extentPage).filter((page) => page !== 0);
  const clusters = claims.map(({ cluster }) => cluster);
  expectBits(yard, new Set([...before.taken, ...clusters]), new Set([...before.used, ...pages]));
  expect(new Set(clusters).size).toBe(claims.length);
  expect(new Set(pages).size).toBe(pages.length);
  fuzz.end();
  await Promise.all(results.map(({ row }) => yard.rowFree(row)));
  expectBits(yard, before.taken, before.used);
  await yard.expectSound();
  await yard.store.close();
});
