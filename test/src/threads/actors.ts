/** A store that is shared, and the threads of a test that are attached to it. */

import { Worker } from 'node:worker_threads';
import { BLOB, run, SharedStore } from '@blobyard/core';
import { type DeviceSpec, MemoryDevice } from '@blobyard/io';
import { type CreateStoreOptions, createStore, type Store, type StoreHandle } from '@blobyard/workers';
import { expect, onTestFinished } from 'vitest';
import type { Answer, CommandName, Commands, OpenedBlob, Order, Outcome } from './actor.js';
import { type Gates, gateDevice } from './gate-device.js';

const ACTOR = new URL('../../dist/threads/actor.js', import.meta.url);

export const KiB = 1024;
/** Clusters of all stores here: of four io units. */
export const CLUSTER = 16 * KiB;
export const UNIT = 4 * KiB;
const DEVICE_BYTES = 4096 * KiB;

type Result<Name extends CommandName> = Awaited<ReturnType<Commands[Name]>>;

/** A thread that does what it is told. */
export class Actor {
  readonly #worker: Worker;
  readonly #answers = new Map<number, (outcomes: readonly Outcome[]) => void>();
  readonly #exited: Promise<unknown>;
  #requests = 0;
  row = -1;

  constructor() {
    this.#worker = new Worker(ACTOR, { stderr: true });
    this.#worker.on('message', ({ request, outcomes }: Answer) => this.#answers.get(request)?.(outcomes));
    this.#worker.on('error', () => undefined); // wanted by a test, or seen as an answer that does not come
    this.#exited = new Promise((resolve) => this.#worker.once('exit', resolve));
    onTestFinished(() => this.kill());
  }

  /** Does one thing. Rejects with its error, code and message. */
  async do<Name extends CommandName>(name: Name, ...args: Parameters<Commands[Name]>): Promise<Result<Name>> {
    const [outcome] = await this.together([name, ...args] as unknown as Order);
    if ('code' in outcome) {
      const { code, message, cause } = outcome;
      throw Object.assign(new Error(message, { cause }), { code });
    }
    return outcome.value as Result<Name>;
  }

  /** Begins several things in one turn of the thread's event loop; answers when all have ended. */
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
  /** The store's shared structures as another thread of the test sees them. */
  readonly shared: SharedStore;
  readonly #memory: MemoryDevice['memory'];

  private constructor(store: Store, memory: MemoryDevice['memory']) {
    this.store = store;
    this.handle = store.share();
    this.shared = new SharedStore(this.handle.buffers, -1);
    this.#memory = memory;
  }

  /** @param gates - of the metadata thread's device, which is asynchronous then */
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

  /** A thread that is attached, whose device has gates. */
  async actor(gates: Gates = {}, isLater = false): Promise<Actor> {
    const actor = new Actor();
    const { row } = await actor.do('attach', this.handleWith(gates, isLater));
    actor.row = row;
    return actor;
  }

  handleWith(gates: Gates, isLater = false): StoreHandle {
    return { ...this.handle, device: gateDevice(this.#memory, gates, isLater) };
  }

  /** A thread that is attached and has a blob open. */
  async actorIn(id: bigint, gates: Gates = {}, isLater = false): Promise<{ actor: Actor } & OpenedBlob> {
    const actor = await this.actor(gates, isLater);
    return { actor, ...(await actor.do('openSync', id)) };
  }

  get freeClusters(): number {
    return this.shared.clusters.freeCount;
  }

  /** Resolves when somebody has begun to freeze the blob in a slot. */
  frozen(slot: number): Promise<void> {
    return until(() => this.shared.blobs.load(slot, BLOB.FROZEN) !== 0);
  }

  /** Resolves when a row of the channel table is free. */
  rowFree(row: number): Promise<void> {
    return until(() => !this.shared.channels.isTaken(row));
  }

  /** Expects that every cluster and page has one owner, and that counts fit. */
  async expectSound(): Promise<void> {
    const { blobstore } = this.store.engine;
    blobstore.verify();
    await run(blobstore.audit());
  }
}

/** Waits for something that other threads bring about. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** Whether a promise has settled by now. */
export function watched<T>(promise: Promise<T>): { readonly promise: Promise<T>; readonly isSettled: boolean } {
  const state = { promise, isSettled: false };
  const settle = () => {
    state.isSettled = true;
  };
  promise.then(settle, settle);
  return state;
}

/** Gives whatever could go on wrongly every chance to do so: many turns of this event loop. */
export async function manyTurns(): Promise<void> {
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Expects that bytes are all the same. */
export function expectFilled(bytes: Uint8Array, value: number): void {
  const at = bytes.findIndex((byte) => byte !== value);
  expect(at, `byte ${at} of ${bytes.length} is ${bytes[at]}, not ${value}`).toBe(-1);
}

/** Expects a failure with a code. */
export async function expectCode(work: Promise<unknown>, code: string): Promise<void> {
  await expect(work).rejects.toMatchObject({ code });
}

/** The codes with which orders ended; `ok` for those that did not fail. */
export function codesOf(outcomes: readonly Outcome[]): string[] {
  return outcomes.map((outcome) => ('code' in outcome ? outcome.code : 'ok'));
}
