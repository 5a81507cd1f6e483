/**
 * Settling finishes the undo of a failed operation. When creating or deleting a snapshot fails, and undoing it on disk
 * fails too, the disk differs from memory: a root on disk may be the old one or the new one, or a second blob may name
 * the same clusters and extent pages. Loading would correct that, but the store stays open. So the rest of the undo is
 * noted for each blob that it concerns, and done before anything else of these blobs changes on disk. Otherwise the
 * blobs could release clusters or pages that something on disk still names.
 */

import type { Blob } from '../blob/blob.js';
import type { StoreState } from '../state/store-state.js';
import { Coalescer } from '../steps/coalescer.js';
import { ENDED, type Steps } from '../steps/steps.js';
import type { MdPage } from '../units/units.js';
import { persist } from './persist.js';

/** Notes an undo that must be finished before the blobs with these first pages may change. */
export function noteUnsettled(store: StoreState, pages: readonly MdPage[], rest: () => Steps<void>): void {
  const attempts = new Coalescer();
  const attempt = () =>
    attempts.run(function* () {
      if (store.unsettled.get(pages[0]) !== attempt) return; // done in the meantime
      yield* rest();
      for (const page of pages) store.unsettled.delete(page);
    });
  for (const page of pages) store.unsettled.set(page, attempt);
}

/**
 * Finishes the undo that a failed operation has left for a blob. Also writes the snapshot behind it if that is dirty: a
 * mark on disk may name this blob, and must be removed before the blob is no longer its clone.
 */
export function settle(store: StoreState, blob: Blob): Steps<void> {
  const { back } = blob;
  const isSettled = !store.unsettled.has(blob.page) && !(back?.kind === 'blob' && back.blob.state === 'dirty');
  return isSettled ? ENDED : settleUnsettled(store, blob);
}

function* settleUnsettled(store: StoreState, blob: Blob): Steps<void> {
  const attempt = store.unsettled.get(blob.page);
  if (attempt) yield* attempt();
  const { back } = blob;
  if (back?.kind === 'blob' && back.blob.state === 'dirty') yield* persist(store, back.blob);
}

/** Like `settle`, right after a failure. If it fails again, the next change of the blob tries again. */
export function* trySettle(store: StoreState, blob: Blob): Steps<void> {
  try {
    yield* settle(store, blob);
  } catch {
    // it stays noted
  }
}
