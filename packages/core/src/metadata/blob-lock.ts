/** The lock of an operation that changes a blob as a whole. It is not waited for: who finds it taken answers EBUSY. */

import type { Blob } from '../blob/blob.js';
import type { StoreState } from '../state/store-state.js';
import type { Steps } from '../steps/steps.js';
import { BlobstoreError } from '../units/error.js';

/** Runs `body` with the blob locked. EBUSY when another operation has it. */
export function* withBlobLocked<T>(store: StoreState, blob: Blob, doing: string, body: () => Steps<T>): Steps<T> {
  requireUnlocked(blob, doing);
  blob.locked = true;
  try {
    while (blob.releasing > 0) yield store.drained(); // they began before, and change the map
    return yield* body();
  } finally {
    blob.locked = false;
  }
}

/** EBUSY when another operation has the blob. */
export function requireUnlocked(blob: Blob, doing: string): void {
  if (!blob.locked) return;
  const advice = 'wait for it to end and ask again';
  throw new BlobstoreError('EBUSY', `cannot ${doing} blob ${blob.id}: another operation on it is under way; ${advice}`);
}
