/** What the tests of failing devices share: stores in a file, blobs whose bytes are known, and looks at errors. */

import { type Blob, BlobstoreError, createStore, type DeviceSpec, openStore, type Store } from 'blobyard';
import { expect, onTestFinished } from 'vitest';
import { putPattern } from '../torture/pattern.js';

export const CLUSTER_BYTES = 64 * 1024;

/** Both ways in which a store can be on its device: from one thread, and from several. */
export const MODES = [
  ['inline', 0],
  ['pool', 2],
] as const;

/** A store that is let go of when the test is over, whatever state its device is in. */
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

/** Bytes that only this token has. */
export function patterned(token: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  putPattern(bytes, 0, length, token, 0);
  return bytes;
}

/** A thin blob with known bytes, all of it synced. */
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

/** The first error of what is done again and again; it is one of ours. */
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
