/** Stops the other threads of a store that has ended from using it, so that its device can be released. */

import { CHANNELS_MAX, type SharedStore, STORE_END } from '@blobyard/core';
import { dropStoreShare } from '@blobyard/io/internal/store-share';
import { isAlive } from './thread-life.js';

/** The interval of checks whether all threads have left, in milliseconds. */
const POLL_MS = 1;

/**
 * Resolves when no thread can write to the store any more: no living thread is in an operation on its blobs, and none
 * can enter one. Releases the threads' shares of the lock on the file for them, because they may be busy with something
 * else for any length of time. A thread that waits inside an operation stops waiting and leaves, unless it waits for
 * its device.
 *
 * @param shareWindow - that of the store's lock; the caller holds the lock, or a share of it
 */
export async function shutOut(shared: SharedStore, shareWindow: number | undefined): Promise<void> {
  if (shared.end === STORE_END.OPEN) shared.markFailed();
  shared.shutOut();
  while (!allAreOut(shared, shareWindow)) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
}

/**
 * Returns whether no living thread is inside an operation, and releases the shares of those that are not. A thread that
 * takes a row, or records its share, after its row was checked here finds that the store has ended, and leaves.
 */
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
