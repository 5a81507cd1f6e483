/** What the tests of the promise API share: devices, bytes that a seed decides, expectations of errors. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type BlockDevice, createStore, type ErrorCode, SparseMemoryDevice, type Store } from 'blobyard';
import { expect, onTestFinished } from 'vitest';
import { numbers } from './numbers.js';

export { numbers };

export const KiB = 1024;
export const MiB = 1024 * KiB;
/** Clusters of most tests: small, so that a few bytes cross several. */
export const CLUSTER = 16 * KiB;

/** A folder that goes with the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'blobyard-api-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A new device in memory; blocks of 512 bytes, unless told otherwise. */
export function memory(sizeBytes = 4 * MiB, blockLengthBytes = 512): SparseMemoryDevice {
  return new SparseMemoryDevice({ sizeBytes, blockLengthBytes });
}

/** A store that is closed with the test, if it still is open then. */
export async function testStore(device: BlockDevice = memory(), options: object = {}): Promise<Store> {
  const store = await createStore({ device, clusterSizeBytes: CLUSTER, ...options });
  onTestFinished(() => store.close());
  return store;
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
