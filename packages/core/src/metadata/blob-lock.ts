/**
 * The lock of an operation that changes a blob as a whole. No operation waits for this lock: an operation that finds it
 * taken fails with EBUSY.
 */

import type { Blob } from '../blob/blob.js';
import type { StoreState } from '../state/store-state.js';
import type { Steps } from '../steps/steps.js';
import { BlobstoreError } from '../units/error.js';

/** Runs `body` with the blob locked. EBUSY when another operation holds the lock. */
export function withBlobLocked<T>(store: StoreState, blob: Blob, doing: string, body: () => Steps<T>): Steps<T> {
  return withBlobsLocked(store, [blob], doing, body);
}

/** Runs `body` with several blobs locked, each named once. EBUSY, with none locked, when one of the locks is held. */
export function* withBlobsLocked<T>(
  store: StoreState,
  blobs: readonly Blob[],
  doing: string,
  body: () => Steps<T>,
): Steps<T> {
  for (const blob of blobs) requireUnlocked(blob, doing);
  for (const blob of blobs) blob.locked = true;
  try {
    for (const blob of blobs) {
      while (blob.releasing > 0) yield store.drained(); // wait for releases that began before: they change the map
    }
    return yield* body();
  } finally {
    for (const blob of blobs) blob.locked = false;
  }
}

/**
 * Runs `body`, an operation on a clone of `blob`, and keeps operations from changing the map or parent of `blob`
 * meanwhile. Several operations can rely on a blob at the same time. EBUSY when another operation holds its lock.
 */
export function* relyingOn<T>(blob: Blob, doing: string, body: () => Steps<T>): Steps<T> {
  if (blob.locked) throw busy(blob, doing);
  blob.reliedOn++;
  try {
    return yield* body();
  } finally {
    blob.reliedOn--;
  }
}

/** Throws EBUSY when another operation holds the blob's lock, or relies on the blob. */
export function requireUnlocked(blob: Blob, doing: string): void {
  if (blob.locked || blob.reliedOn > 0) throw busy(blob, doing);
}

function busy(blob: Blob, doing: string): BlobstoreError {
  const advice = 'wait for it to end and ask again';
  return new BlobstoreError(
    'EBUSY',
    `cannot ${doing} blob ${blob.id}: another operation on it is under way; ${advice}`,
  );
}
