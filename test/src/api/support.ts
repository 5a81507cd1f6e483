/**
 * What the tests of the promise API share: devices, pseudo-random bytes, expectations of errors. The same tests run in
 * each mode of a store (see `vitest.config.ts`), so they make and open stores by the functions here.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  attach,
  type CreateStoreOptions,
  type DeviceSpec,
  type ErrorCode,
  FileDevice,
  MemoryDevice,
  createStore as makeStore,
  type OpenStoreOptions,
  openStore as openAnyStore,
  SparseMemoryDevice,
  type Store,
} from 'blobyard';
import type { BlockDevice } from 'blobyard/devices';
import { run } from 'blobyard/engine';
import type { ExternalSnapshotWanted } from 'blobyard/types';
import { expect, onTestFinished } from 'vitest';
import { bridge } from '../threads/bridge.js';
import { numbers } from './numbers.js';

export { numbers };

export const KiB = 1024;
export const MiB = 1024 * KiB;
/** The cluster size of most tests, in bytes: small, so that short ranges cross several clusters. */
export const CLUSTER = 16 * KiB;

const { BLOBYARD_MODE } = process.env;
/** True: the test's thread attaches to a store whose metadata thread is another one. */
export const isAttached = BLOBYARD_MODE === 'attached';
/** True: the store has a metadata thread and I/O workers. False: it is on the test's thread alone. */
export const isPooled = isAttached || BLOBYARD_MODE === 'pooled';

/** A folder that is removed when the test has finished. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'blobyard-api-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A new synchronous device in memory; blocks of 512 bytes, unless told otherwise. */
export function memory(sizeBytes = 4 * MiB, blockLengthBytes = 512): BlockDevice {
  if (isPooled) return MemoryDevice.create({ sizeBytes, blockLengthBytes, arenaBytes: 64 * KiB });
  return new SparseMemoryDevice({ sizeBytes, blockLengthBytes });
}

/**
 * A device of this thread that takes only whole blocks, also if `device` takes any bytes. In the other modes it is
 * `device` itself: threads reach it by a bridge, which passes on only whole blocks, or in shared memory, unchanged.
 */
export function onlyBlocks(device: BlockDevice): BlockDevice {
  if (isPooled) return device;
  const openChannel = () => {
    const channel = device.openChannel();
    return new Proxy(channel, {
      get(target, name) {
        if (name === 'readBytes' || name === 'writeBytes') return undefined;
        const member = Reflect.get(target, name) as unknown;
        return typeof member === 'function' ? member.bind(target) : member;
      },
    });
  };
  return new Proxy(device, {
    get(target, name) {
      if (name === 'takesBytes') return false;
      if (name === 'openChannel') return openChannel;
      const member = Reflect.get(target, name, target) as unknown;
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}

/** The device as a store of this mode takes it: one that exists only on the test's thread is bridged to the others. */
export function usable(device: BlockDevice | DeviceSpec): BlockDevice | DeviceSpec {
  const isLocal = typeof (device as Partial<BlockDevice> | null)?.openChannel === 'function';
  if (!isPooled || !isLocal || device instanceof MemoryDevice || device instanceof FileDevice) return device;
  const { spec, close } = bridge(device as BlockDevice);
  onTestFinished(close);
  return spec;
}

/** `createStore`, in the mode of this run. */
export async function createStore(options: CreateStoreOptions): Promise<Store> {
  return reached(await makeStore(inMode(options)));
}

/** `openStore`, in the mode of this run. */
export async function openStore(options: OpenStoreOptions): Promise<Store> {
  return reached(await openAnyStore(inMode(options)));
}

/**
 * The store as the tests of this mode use it. When the handle of an attached thread is closed, the store is closed,
 * too, since nobody else uses it.
 */
async function reached(store: Store): Promise<Store> {
  if (!isAttached) return store;
  const attached = await attach(store.share());
  const detach = attached.close.bind(attached);
  let ending: Promise<void> | undefined;
  const end = async (how: 'close' | 'destroy') => {
    const [detached] = await Promise.allSettled([detach()]);
    try {
      await store[how]();
    } finally {
      await Promise.allSettled([detach()]);
    }
    if (detached.status === 'rejected') throw detached.reason;
  };
  const endOnce = (how: 'close' | 'destroy') => {
    ending ??= end(how);
    return ending;
  };
  const close = () => endOnce('close');
  return Object.assign(attached, { close, destroy: () => endOnce('destroy'), [Symbol.asyncDispose]: close });
}

function inMode<T extends CreateStoreOptions>(options: T): T {
  if (!isPooled || typeof options !== 'object') return options;
  const { openExternalSnapshot: find } = options;
  const openExternalSnapshot =
    typeof find !== 'function'
      ? find
      : async (wanted: ExternalSnapshotWanted) => {
          const found = await find(wanted);
          return found === null ? null : usable(found);
        };
  return { threads: isAttached ? 1 : 2, ...options, device: usable(options.device), openExternalSnapshot };
}

/** A new store, which is closed when the test has finished, if it is still open then. */
export async function testStore(device: BlockDevice = memory(), options: object = {}): Promise<Store> {
  const store = await createStore({ device, clusterSizeBytes: CLUSTER, ...options });
  onTestFinished(() => store.close());
  return store;
}

/** Abandons a store without a close, as a killed process does. In pooled mode it does nothing: the store stays open. */
export async function leave(store: Store): Promise<void> {
  if (!isPooled) await run(store.engine.blobstore.abandon());
}

/** Has the engine check that its state in memory is consistent. It can be reached only in inline mode. */
export function verify(store: Store): void {
  if (!isPooled) store.engine.blobstore.verify();
}

/** Pseudo-random bytes of a seed. */
export function bytes(length: number, seed = 1): Uint8Array {
  const next = numbers(seed * 2654435761);
  return Uint8Array.from({ length }, () => next(256));
}

/** Expects equal bytes. On a difference it prints only the lengths and the first different byte. */
export function expectSame(actual: Uint8Array, expected: Uint8Array, where = 'bytes'): void {
  if (Buffer.compare(actual, expected) === 0) return;
  const at = expected.findIndex((byte, index) => actual[index] !== byte);
  expect.fail(
    `${where}: ${actual.length} bytes instead of ${expected.length}; byte ${at} is ${actual[at]}, not ${expected[at]}`,
  );
}

/** Expects a `BlobstoreError` with a code and, if `message` is given, with a message that matches it. */
export async function expectCode(
  work: Promise<unknown> | (() => unknown),
  code: ErrorCode,
  message?: RegExp,
): Promise<void> {
  let error: unknown;
  try {
    await (typeof work === 'function' ? work() : work);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toMatchObject({ name: 'BlobstoreError', code });
  if (message) expect((error as Error).message).toMatch(message);
}

/** Expects the error of a call that its signal has aborted. */
export async function expectAbort(work: Promise<unknown>, cause?: unknown): Promise<void> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR' });
  if (cause !== undefined) expect((error as Error).cause).toBe(cause);
}

/** The seed of a random test: the environment variable SEED, otherwise one from the clock. It is printed. */
export function printedSeed(what: string): number {
  const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31);
  console.log(`${what}: SEED=${seed}`);
  return seed;
}
