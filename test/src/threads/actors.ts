/** A shared store, and the attached threads of a test. */

import { Worker } from 'node:worker_threads';
import { BLOB, run, SharedStore } from '@blobyard/core';
import { type DeviceSpec, MemoryDevice } from '@blobyard/io';
import { type CreateStoreOptions, createStore, type Store, type StoreHandle } from '@blobyard/workers';
import { expect, onTestFinished } from 'vitest';
import type { Answer, CommandName, Commands, OpenedBlob, Order, Outcome } from './actor.js';
import { type Gates, gateDevice } from './gate-device.js';

const ACTOR = new URL('../../dist/threads/actor.js', import.meta.url);

export const KiB = 1024;
/** The cluster size of all stores here, in bytes: four io units. */
export const CLUSTER = 16 * KiB;
export const UNIT = 4 * KiB;
const DEVICE_BYTES = 4096 * KiB;

type Result<Name extends CommandName> = Awaited<ReturnType<Commands[Name]>>;

/** A thread that executes orders (`actor.ts`). */
export class Actor {
  readonly #worker: Worker;
  readonly #answers = new Map<number, (outcomes: readonly Outcome[]) => void>();
  readonly #exited: Promise<unknown>;
  #requests = 0;
  row = -1;

  constructor() {
    this.#worker = new Worker(ACTOR, { stderr: true });
    this.#worker.on('message', ({ request, outcomes }: Answer) => this.#answers.get(request)?.(outcomes));
    this.#worker.on('error', () => undefined); // an error is either wanted, or the test fails without an answer
    this.#exited = new Promise((resolve) => this.#worker.once('exit', resolve));
    onTestFinished(() => this.kill());
  }

  /** Executes one order. Rejects with an error that has its code and message. */
  async do<Name extends CommandName>(name: Name, ...args: Parameters<Commands[Name]>): Promise<Result<Name>> {
    const [outcome] = await this.together([name, ...args] as unknown as Order);
    if ('code' in outcome) {
      const { code, message, cause } = outcome;
      throw Object.assign(new Error(message, { cause }), { code });
    }
    return outcome.value as Result<Name>;
  }

  /** Starts several orders in one turn of the thread's event loop. Resolves when all have ended. */
  together(...orders: Order[]): Promise<readonly Outcome[]> {
    const request = this.#requests++;
    this.#worker.postMessage({ request, orders });
    return new Promise((resolve) => this.#answers.set(request, resolve));
  }

  /** Ends the thread at once, wherever it is. */
  async kill(): Promise<void> {
    await this.#worker.terminate();
  }

  /** Waits until the thread has ended. */
  async ended(): Promise<void> {
    await this.#exited;
  }
}

export class ThreadYard {
  readonly store: Store;
  readonly handle: StoreHandle;
  /** The store's shared structures, in the view of another thread. */
  readonly shared: SharedStore;
  readonly #memory: MemoryDevice['memory'];

  private constructor(store: Store, memory: MemoryDevice['memory']) {
    this.store = store;
    this.handle = store.share();
    this.shared = new SharedStore(this.handle.buffers, -1);
    this.#memory = memory;
  }

  /** @param gates - gates of the metadata thread's device; with gates, the device is asynchronous */
  static async open(
    options: Partial<CreateStoreOptions> = {},
    gates?: Gates,
    sizeBytes = DEVICE_BYTES,
  ): Promise<ThreadYard> {
    const { memory } = MemoryDevice.create({ sizeBytes, canCopy: false });
    const device: DeviceSpec = gates ? gateDevice(memory, gates, true) : { kind: 'memory', memory };
    const store = await createStore({ device, clusterSizeBytes: CLUSTER, ...options });
    return new ThreadYard(store, memory);
  }

  /** A new attached thread, whose device has gates. */
  async actor(gates: Gates = {}, isLater = false): Promise<Actor> {
    const actor = new Actor();
    const { row } = await actor.do('attach', this.handleWith(gates, isLater));
    actor.row = row;
    return actor;
  }

  handleWith(gates: Gates, isLater = false): StoreHandle {
    return { ...this.handle, device: gateDevice(this.#memory, gates, isLater) };
  }

  /** A new attached thread with a blob open. */
  async actorIn(id: bigint, gates: Gates = {}, isLater = false): Promise<{ actor: Actor } & OpenedBlob> {
    const actor = await this.actor(gates, isLater);
    return { actor, ...(await actor.do('openSync', id)) };
  }

  get freeClusters(): number {
    return this.shared.clusters.freeCount;
  }

  /** Resolves when a thread has begun to freeze the blob in a slot. */
  frozen(slot: number): Promise<void> {
    return until(() => this.shared.blobs.load(slot, BLOB.FROZEN) !== 0);
  }

  /** Resolves when a row of the channel table is free. */
  rowFree(row: number): Promise<void> {
    return until(() => !this.shared.channels.isTaken(row));
  }

  /** Expects that every cluster and page has one owner, and that the counts are correct. */
  async expectSound(): Promise<void> {
    const { blobstore } = this.store.engine;
    blobstore.verify();
    await run(blobstore.audit());
  }
}

/** Waits until a condition is true that other threads make true. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** Watches whether a promise has settled. */
export function watched<T>(promise: Promise<T>): { readonly promise: Promise<T>; readonly isSettled: boolean } {
  const state = { promise, isSettled: false };
  const settle = () => {
    state.isSettled = true;
  };
  promise.then(settle, settle);
  return state;
}

/** Waits many turns of this event loop, in which work that should be blocked could go on. */
export async function manyTurns(): Promise<void> {
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Expects that all bytes have a value. */
export function expectFilled(bytes: Uint8Array, value: number): void {
  const at = bytes.findIndex((byte) => byte !== value);
  expect(at, `byte ${at} of ${bytes.length} is ${bytes[at]}, not ${value}`).toBe(-1);
}

/** Expects a failure with a code. */
export async function expectCode(work: Promise<unknown>, code: string): Promise<void> {
  await expect(work).rejects.toMatchObject({ code });
}

/** The error codes of outcomes; `ok` for orders that succeeded. */
export function codesOf(outcomes: readonly Outcome[]): string[] {
  return outcomes.map((outcome) => ('code' in outcome ? outcome.code : 'ok'));
}
