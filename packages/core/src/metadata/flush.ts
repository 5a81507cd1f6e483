/** Makes acknowledged changes of one blob, or of all, durable. */

import type { Blob } from '../blob/blob.js';
import type { StoreState } from '../state/store-state.js';
import { Attempts } from '../steps/batch.js';
import type { Steps } from '../steps/steps.js';
import { runTogether } from '../steps/together.js';
import { drain } from './freeze.js';
import { closeLingering, isInUse } from './open-close.js';
import { sync } from './persist.js';

/** True when the metadata of all open blobs is on disk. */
export function isSynced(store: StoreState): boolean {
  return store.unsynced.size === 0;
}

/** The open blobs that a flush of the store visits; it does nothing for the others. */
export function blobsToFlush(store: StoreState): Blob[] {
  const blobs = new Set(store.unsynced.values());
  for (const page of store.unsettled.keys()) {
    const blob = store.openBlobs.get(page);
    if (blob !== undefined) blobs.add(blob);
  }
  return [...blobs];
}

/**
 * Writes a blob's metadata if it is dirty. If the sync makes the blob read-only, its data does not change after this.
 */
export function* syncBlob(store: StoreState, blob: Blob): Steps<void> {
  if (blob.mdRo) return;
  const couldBeWritten = !blob.dataRo;
  yield* sync(store, blob);
  if (couldBeWritten && blob.dataRo) yield* drain(store, blob); // wait for writes in flight on other threads
}

/** Makes a blob's metadata and data durable. */
export function* flushBlob(store: StoreState, blob: Blob): Steps<void> {
  const { begun } = store.flushes;
  yield* sync(store, blob);
  yield* flushDevice(store, begun);
}

/**
 * Makes all blobs durable, including those that linger without a reference (`store.lingering`). If one fails, the
 * others are still written; the first error is thrown at the end.
 */
export function* flushStore(store: StoreState): Steps<void> {
  const attempts = new Attempts();
  const { begun } = store.flushes;
  const syncInUse = function* (blob: Blob): Steps<void> {
    if (isInUse(store, blob)) yield* sync(store, blob);
  };
  yield* attempts.attempt(() => runTogether(blobsToFlush(store), syncInUse));
  yield* attempts.attempt(() => closeLingering(store));
  yield* attempts.attempt(() => flushDevice(store, begun));
  attempts.end();
}

/**
 * Makes durable what had been written when `DeviceFlushes.begun` was `begun`. Does nothing if a barrier since then has
 * done so.
 */
function* flushDevice(store: StoreState, begun: number): Steps<void> {
  const { flushes } = store;
  if (flushes.begun === begun) yield* flushes.gather();
  yield* flushes.since(begun);
}
