/** What the tests of failing devices share: stores in a file, blobs with known bytes, and expectations of errors. */

import { type Blob, BlobstoreError, createStore, type DeviceSpec, openStore, type Store } from 'blobyard';
import { expect, onTestFinished } from 'vitest';
import { putPattern } from '../torture/pattern.js';

export const CLUSTER_BYTES = 64 * 1024;

/** Both kinds of stores, with their number of I/O workers: on one thread, and with several threads. */
export const MODES = [
  ['inline', 0],
  ['pool', 2],
] as const;

/** A new store, which is closed when the test has finished. Errors of that close are ignored. */
export async function newStore(device: DeviceSpec, threads: number): Promise<Store> {
  return closedAtEnd(await createStore({ device, threads, clusterSizeBytes: CLUSTER_BYTES, mdPageCount: 64 }));
}

export async function reopened(device: DeviceSpec, threads: number): Promise<Store> {
  return closedAtEnd(await openStore({ device, threads }));
}

function closedAtEnd(store: Store): Store {
  onTestFinished(() =>
    store.close().catch(() => {
      // the test has seen why
    }),
  );
  return store;
}

/** Bytes with the pattern of a token. Different tokens have different bytes. */
export function patterned(token: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  putPattern(bytes, 0, length, token, 0);
  return bytes;
}

/** A thin blob with the pattern of a token, synced. */
export async function syncedBlob(store: Store, name: string, token: number, clusters: number): Promise<Blob> {
  const blob = await store.create({ name, sizeBytes: clusters * CLUSTER_BYTES, thin: true });
  await blob.write(patterned(token, clusters * CLUSTER_BYTES), 0);
  await blob.flush();
  return blob;
}

export async function expectBytes(blob: Blob, token: number): Promise<void> {
  const bytes = await blob.read(0, blob.sizeBytes);
  expect(Buffer.compare(bytes, patterned(token, bytes.length))).toBe(0);
}

/** Executes `act` up to `timesMax` times. Returns its first error, which must be a `BlobstoreError`. */
export async function firstFailure(
  timesMax: number,
  act: (index: number) => Promise<unknown>,
): Promise<BlobstoreError> {
  for (let index = 0; index < timesMax; index++) {
    try {
      await act(index);
    } catch (error) {
      expect(error).toBeInstanceOf(BlobstoreError);
      return error as BlobstoreError;
    }
  }
  throw new Error(`nothing failed in ${timesMax} times`);
}
