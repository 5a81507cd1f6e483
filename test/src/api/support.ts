/**
 * What the tests of the promise API share: devices, bytes that a seed decides, expectations of errors. The same tests run in
 * each mode of a store (see `vitest.config.ts`): they make and open stores by the functions here.
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
/** Clusters of most tests: small, so that a few bytes cross several. */
export const CLUSTER = 16 * KiB;

const { BLOBYARD_MODE } = process.env;
/** The test's thread has attached to a store whose metadata is on another one. */
export const isAttached = BLOBYARD_MODE === 'attached';
/** Where stores live: on the test's thread, or on others. */
export const isPooled = isAttached || BLOBYARD_MODE === 'pooled';

/** A folder that goes with the test. */
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
 * A device of this thread that takes only whole blocks, whatever the one behind it takes. Other threads get it bridged,
 * and so as blocks only; or as it is, if it is in shared memory.
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

/** The device as a store of this mode takes it: one that lives on the test's thread alone is bridged to others. */
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

/** What the tests of a mode see of a store. An attached one is closed with the store itself, which nobody else uses. */
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

/** A store that is closed with the test, if it still is open then. */
export async function testStore(device: BlockDevice = memory(), options: object = {}): Promise<Store> {
  const store = await createStore({ device, clusterSizeBytes: CLUSTER, ...options });
  onTestFinished(() => store.close());
  return store;
}

/** Lets go of a store as it is, as a killed process would: what is on the device must do. */
export async function leave(store: Store): Promise<void> {
  if (!isPooled) await run(store.engine.blobstore.abandon());
}

/** Has the engine look for contradictions in what it knows, where it can be reached. */
export function verify(store: Store): void {
  if (!isPooled) store.engine.blobstore.verify();
}

/** Bytes that the seed decides. */
export function bytes(length: number, seed = 1): Uint8Array {
  const next = numbers(seed * 2654435761);
  return Uint8Array.from({ length }, () => next(256));
}

/** Compares without the pages of output that a difference of two large arrays makes. */
export function expectSame(actual: Uint8Array, expected: Uint8Array, where = 'bytes'): void {
  if (Buffer.compare(actual, expected) === 0) return;
  const at = expected.findIndex((byte, index) => actual[index] !== byte);
  expect.fail(
    `${where}: ${actual.length} bytes for ${expected.length}; byte ${at} is ${actual[at]}, not ${expected[at]}`,
  );
}

/** Expects a failure with a code, and a message that says more than that. */
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

/** A seed for a random test, printed, or given by the environment variable SEED. */
export function printedSeed(what: string): number {
  const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31);
  console.log(`${what}: SEED=${seed}`);
  return seed;
}
