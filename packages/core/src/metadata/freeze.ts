/**
 * Freezing keeps channels out of a blob, and out of the clones that read through it, while its map, its size or its
 * parent changes.
 *
 * The race to avoid: a channel checks whether the blob is frozen, and it is not; then the metadata thread freezes the
 * blob before the channel has read the map. So the channel first raises its counter for the blob, and then checks the
 * frozen count. The freezer first raises the frozen count, and then waits until all counters are 0. Both words are
 * accessed with sequential consistency, hence the one that comes second sees the other. Either the channel sees that
 * the blob is frozen, leaves it and queues the operation; or the freezer sees the counter, and waits.
 *
 * An operation on a clone reads the maps of the snapshots behind it, and is counted only in the clone. So the freezer
 * of a snapshot also waits for the operations inside its clones, and their clones. An operation inside a clone looks at
 * the frozen count of each snapshot before it reads its map. A channel may keep what it has found behind a clone, until
 * the next such freeze is counted (`SharedStore.freezes`). The freezer counts the freeze before it looks at the
 * counters. What an operation finds while its own blob is frozen is not kept, because the change is still to come.
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
 * released. Freezes nest. The freeze begins in this call, so the steps must be run immediately.
 */
export function freeze(store: StoreState, blob: Blob): Steps<void> {
  const slots = begin(store, blob);
  const isReady = blob.releasing === 0 && areDrained(store, slots);
  return isReady ? ENDED : untilReady(store, blob, slots, () => blob.releasing === 0);
}

/** Like `freeze`, but does not wait for releases; used by a release itself. */
export function freezeForRelease(store: StoreState, blob: Blob): Steps<void> {
  const slots = begin(store, blob);
  return areDrained(store, slots) ? ENDED : untilReady(store, blob, slots, () => true);
}

/**
 * Begins a freeze, and returns the slots whose counters have to become 0: of the blob, and of all that read through it.
 */
function begin({ shared }: StoreState, blob: Blob): readonly number[] {
  shared.blobs.add(blob.slot, BLOB.FROZEN, 1);
  if (blob.clones.size > 0 || blob.back?.kind === 'blob') shared.countFreeze();
  const inFront = [blob];
  for (const at of inFront) inFront.push(...at.clones);
  return inFront.map(({ slot }) => slot);
}

function areDrained({ shared }: StoreState, slots: readonly number[]): boolean {
  return slots.every((slot) => shared.channels.isDrained(slot));
}

/** Waits for a blob that has just been frozen. The counters are read after the number of waiters has been raised. */
function* untilReady(store: StoreState, blob: Blob, slots: readonly number[], isReady: () => boolean): Steps<void> {
  const { channels } = store.shared;
  channels.addDrainWaiters(1);
  try {
    while (!isReady() || !areDrained(store, slots)) yield store.drained();
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
export function frozen<T>(store: StoreState, blob: Blob, body: () => Steps<T>): Steps<T> {
  return allFrozen(store, [blob], body);
}

/**
 * Runs `body` while several blobs are frozen. They are frozen one after another. No deadlock: an operation inside a blob
 * that is not frozen yet never waits for the thaw of another one while it is inside.
 */
export function* allFrozen<T>(store: StoreState, blobs: readonly Blob[], body: () => Steps<T>): Steps<T> {
  const frozenBlobs: Blob[] = [];
  try {
    for (const blob of blobs) {
      yield* freeze(store, blob);
      frozenBlobs.push(blob);
    }
    return yield* body();
  } finally {
    for (const blob of frozenBlobs) unfreeze(store, blob);
  }
}
