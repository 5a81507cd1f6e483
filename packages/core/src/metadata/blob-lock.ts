/**
 * The lock of an operation that changes a blob as a whole. Nothing waits for it: when it is taken, the operation fails
 * with EBUSY.
 */

import type { Blob } from '../blob/blob.js';
import type { StoreState } from '../state/store-state.js';
import type { Steps } from '../steps/steps.js';
import { BlobstoreError } from '../units/error.js';

/** Runs `body` with the blob locked. EBUSY when another operation holds the lock. */
export function* withBlobLocked<T>(store: StoreState, blob: Blob, doing: string, body: () => Steps<T>): Steps<T> {
  requireUnlocked(blob, doing);
  blob.locked = true;
  try {
    while (blob.releasing > 0) yield store.drained(); // wait for releases that began before: they change the map
    return yield* body();
  } finally {
    blob.locked = false;
  }
}

/** Throws EBUSY when another operation holds the blob's lock. */
export function requireUnlocked(blob: Blob, doing: string): void {
  if (!blob.locked) return;
  const advice = 'wait for it to end and ask again';
  throw new BlobstoreError('EBUSY', `cannot ${doing} blob ${blob.id}: another operation on it is under way; ${advice}`);
}
