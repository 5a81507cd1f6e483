/** Makes acknowledged changes of one blob, or of all, durable. */

import type { Blob } from '../blob/blob.js';
import type { StoreState } from '../state/store-state.js';
import { Attempts } from '../steps/batch.js';
import { type Steps, wait } from '../steps/steps.js';
import { drain } from './freeze.js';
import { closeLingering, isInUse } from './open-close.js';
import { sync } from './persist.js';

/** True when the metadata of all open blobs is on disk, or is being written. */
export function isSynced(store: StoreState): boolean {
  for (const blob of store.openBlobs.values()) if (blob.state === 'dirty') return false;
  return true;
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
  yield* sync(store, blob);
  yield* flushDevice(store);
}

/**
 * Makes all blobs durable, including those that their users have dropped. If one fails, the others are still written;
 * the first error is thrown at the end.
 */
export function* flushStore(store: StoreState): Steps<void> {
  const attempts = new Attempts();
  for (const blob of [...store.openBlobs.values()]) {
    if (isInUse(store, blob)) yield* attempts.attempt(() => sync(store, blob));
    yield undefined;
  }
  yield* attempts.attempt(() => closeLingering(store));
  yield* attempts.attempt(() => flushDevice(store));
  attempts.end();
}

function* flushDevice(store: StoreState): Steps<void> {
  yield* wait(store.deviceChannel.flush());
}
