/**
 * Settling. When a snapshot or the deletion of one fails, and undoing it on disk fails too, the disk holds more than memory
 * does: a root that may be the old one or the new, or a second blob that names the same clusters and extent pages. Loading
 * would set that right, but the store lives on. So the rest of the undoing is noted, for each blob that it concerns, and done
 * before anything else of these blobs changes on disk: what they give up must not be handed out while something there still
 * names it.
 */

import type { Blob } from '../blob/blob.js';
import type { StoreState } from '../state/store-state.js';
import { Coalescer } from '../steps/coalescer.js';
import type { Steps } from '../steps/steps.js';
import type { MdPage } from '../units/units.js';
import { persist } from './persist.js';

/** Notes what is left to be done before the blobs with these first pages may change. */
export function noteUnsettled(store: StoreState, pages: readonly MdPage[], rest: () => Steps<void>): void {
  const attempts = new Coalescer();
  const attempt = () =>
    attempts.run(function* () {
      if (store.unsettled.get(pages[0]) !== attempt) return; // done meanwhile
      yield* rest();
      for (const page of pages) store.unsettled.delete(page);
    });
  for (const page of pages) store.unsettled.set(page, attempt);
}

/**
 * Does what a failed operation has left to be done for a blob. Also writes the snapshot behind it if memory has what the disk
 * has not: a mark there may name this blob, and must be gone before the blob ceases to be its clone.
 */
export function* settle(store: StoreState, blob: Blob): Steps<void> {
  const attempt = store.unsettled.get(blob.page);
  if (attempt) yield* attempt();
  const { back } = blob;
  if (back?.kind === 'blob' && back.blob.state === 'dirty') yield* persist(store, back.blob);
}

/** As `settle`, right after a failure: when it fails again, it is tried when the blob is changed next. */
export function* trySettle(store: StoreState, blob: Blob): Steps<void> {
  try {
    yield* settle(store, blob);
  } catch {
    // it stays noted
  }
}
