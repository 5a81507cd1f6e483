/** Making durable what was acknowledged, of a blob or of all. */

import type { Blob } from '../blob/blob.js';
import type { StoreState } from '../state/store-state.js';
import { Attempts } from '../steps/batch.js';
import { type Steps, wait } from '../steps/steps.js';
import { drain } from './freeze.js';
import { closeLingering, isInUse } from './open-close.js';
import { sync } from './persist.js';

/** True when the disk has the metadata of all open blobs, or is being given it. */
export function isSynced(store: StoreState): boolean {
  for (const blob of store.openBlobs.values()) if (blob.state === 'dirty') return false;
  return true;
}

/** Writes a blob's metadata if memory has what the disk has not. One that comes to be read-only does not change after that. */
export function* syncBlob(store: StoreState, blob: Blob): Steps<void> {
  if (blob.mdRo) return;
  const couldBeWritten = !blob.dataRo;
  yield* sync(store, blob);
  if (couldBeWritten && blob.dataRo) yield* drain(store, blob); // writes that were under way on other threads
}

/** A blob's metadata, and its data. */
export function* flushBlob(store: StoreState, blob: Blob): Steps<void> {
  yield* sync(store, blob);
  yield* flushDevice(store);
}

/**
 * All blobs, those included that their users have dropped. One that fails keeps no other from it: the first error is thrown at
 * the end.
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
