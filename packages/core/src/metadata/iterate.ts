/** Visits all blobs of a store, one after another. */

import type { Blob } from '../blob/blob.js';
import type { StoreState } from '../state/store-state.js';
import type { Steps } from '../steps/steps.js';
import { type BlobId, blobIdOfPage, type MdPage, NONE_U32 } from '../units/units.js';
import { isHidden } from './delete.js';
import { dropReference, openBlob } from './open-close.js';

/** Returns the ids of all blobs, in ascending order. */
export function blobIds(store: StoreState): BlobId[] {
  const { usedBlobIds } = store;
  const ids: BlobId[] = [];
  for (let page = usedBlobIds.findFirstSet(0); page !== NONE_U32; page = usedBlobIds.findFirstSet(page + 1)) {
    if (!isHidden(store, page as MdPage)) ids.push(blobIdOfPage(page as MdPage));
  }
  return ids;
}

/**
 * Opens each blob, in ascending order of ids, calls `visit` with it, and closes it. Blobs that cannot be opened are
 * skipped. An error that `visit` throws ends the iteration, and is thrown.
 */
export function* visitBlobs(store: StoreState, visit: (blob: Blob) => void): Steps<void> {
  for (const id of blobIds(store)) {
    let blob: Blob;
    try {
      blob = yield* openBlob(store, id);
    } catch {
      continue;
    }
    try {
      visit(blob);
    } finally {
      yield* dropReference(store, blob);
    }
    yield undefined;
  }
}
