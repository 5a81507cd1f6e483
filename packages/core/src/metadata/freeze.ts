/**
 * Freezing keeps channels out of a blob while its map, its size or its parent changes.
 *
 * The race to avoid: a channel checks whether the blob is frozen, and it is not; then the metadata thread freezes the
 * blob before the channel has read the map. So the channel first raises its counter for the blob, and then checks the
 * frozen count. The freezer first raises the frozen count, and then waits until all counters are 0. Both words are
 * accessed with sequential consistency, hence the one that comes second sees the other. Either the channel sees that
 * the blob is frozen, leaves it and queues the operation; or the freezer sees the counter, and waits.
 *
 * An operation that waits for the metadata thread to insert a cluster stays inside its blob. The freezer waits for it,
 * and the metadata thread serves it in the meantime.
 */

import type { Blob } from '../blob/blob.js';
import { BLOB } from '../shared/layout.js';
import type { StoreState } from '../state/store-state.js';
import { ENDED, type Steps } from '../steps/steps.js';
import { assert } from '../units/error.js';

/**
 * Keeps new operations out of a blob, and waits until the operations inside it have left, and no cluster of it is being
 * released. Freezes nest. The steps must be run at once.
 */
export function freeze(store: StoreState, blob: Blob): Steps<void> {
  store.shared.blobs.add(blob.slot, BLOB.FROZEN, 1);
  const isReady = blob.releasing === 0 && store.shared.channels.isDrained(blob.slot);
  return isReady ? ENDED : untilReady(store, blob, () => blob.releasing === 0);
}

/** Like `freeze`, but does not wait for releases; used by a release itself. */
export function freezeForRelease(store: StoreState, blob: Blob): Steps<void> {
  store.shared.blobs.add(blob.slot, BLOB.FROZEN, 1);
  return store.shared.channels.isDrained(blob.slot) ? ENDED : untilReady(store, blob, () => true);
}

/** Waits for a blob that has just been frozen. The counters are read after the number of waiters has been raised. */
function* untilReady(store: StoreState, blob: Blob, isReady: () => boolean): Steps<void> {
  const { slot } = blob;
  const { channels } = store.shared;
  channels.addDrainWaiters(1);
  try {
    while (!isReady() || !channels.isDrained(slot)) yield store.drained();
  } catch (error) {
    unfreeze(store, blob);
    throw error;
  } finally {
    channels.addDrainWaiters(-1);
  }
}

/** True while an operation keeps others out of a blob. */
export function isFrozen(store: StoreState, blob: Blob): boolean {
  return store.shared.blobs.load(blob.slot, BLOB.FROZEN) !== 0;
}

/** Ends one freeze. When it was the last one, the operations that queued in the meantime run, in order. */
export function unfreeze(store: StoreState, blob: Blob): void {
  const left = store.shared.blobs.add(blob.slot, BLOB.FROZEN, -1);
  assert(left >= 0, 'a blob was unfrozen that was not frozen');
  if (left === 0) thaw(store, blob.slot);
}

/** Runs the operations that queued while a blob was frozen, on all threads. */
export function thaw(store: StoreState, slot: number): void {
  store.shared.blobs.wakeFrozen(slot);
  for (const channel of store.channels) channel.thaw(slot);
}

/** Waits until the operations that are inside a blob now have left it. */
export function* drain(store: StoreState, blob: Blob): Steps<void> {
  yield* freeze(store, blob);
  unfreeze(store, blob);
}

/** Runs `body` while the blob is frozen. */
export function* frozen<T>(store: StoreState, blob: Blob, body: () => Steps<T>): Steps<T> {
  yield* freeze(store, blob);
  try {
    return yield* body();
  } finally {
    unfreeze(store, blob);
  }
}
