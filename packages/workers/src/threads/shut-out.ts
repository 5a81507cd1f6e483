/** Keeps the other threads of a store that has ended out of it, so that its device can be let go. */

import { CHANNELS_MAX, type SharedStore, STORE_END } from '@blobyard/core';
import { dropStoreShare } from '@blobyard/io/internal/store-share';
import { isAlive } from './thread-life.js';

/** How often it is looked whether all have left, in milliseconds. */
const POLL_MS = 1;

/**
 * Resolves when no thread can write to the store any more: all that live are outside of its blobs, and stay there. Their shares of
 * the lock on its file are given back for them, since they may be busy with something else for as long as they like. What they
 * wait for inside, but for their device, they wait in vain for from now on, and leave.
 *
 * @param shareWindow - of the lock, which the caller has, or a share of it
 */
export async function shutOut(shared: SharedStore, shareWindow: number | undefined): Promise<void> {
  if (shared.end === STORE_END.OPEN) shared.markFailed();
  shared.shutOut();
  while (!allAreOut(shared, shareWindow)) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
}

/** A thread that takes a row, or notes its share, only after it was looked at, finds that the store has ended, and lets go. */
function allAreOut({ channels }: SharedStore, shareWindow: number | undefined): boolean {
  let inside = 0;
  for (let row = 0; row < CHANNELS_MAX; row++) {
    if (!channels.isTaken(row) || !isAlive(channels.thread(row))) continue;
    const descriptor = channels.share(row);
    if (channels.isInside(row)) inside++;
    else if (descriptor !== undefined && shareWindow !== undefined) {
      dropStoreShare(descriptor, shareWindow);
      channels.clearShare(row, descriptor);
    }
  }
  return inside === 0;
}
