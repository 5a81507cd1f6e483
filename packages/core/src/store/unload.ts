/** Ends an open store: unloading, which leaves it clean; destroying; abandoning. */

import type { Blob } from '../blob/blob.js';
import { finishAllDeletes } from '../metadata/delete.js';
import { clearUncleared } from '../metadata/discard-cluster.js';
import { closeLingering } from '../metadata/open-close.js';
import { writeMasks } from '../state/masks.js';
import type { StoreState } from '../state/store-state.js';
import { readSuper, writeSuper } from '../state/super-block-io.js';
import { type Steps, wait } from '../steps/steps.js';
import { BlobstoreError } from '../units/error.js';

/**
 * Writes the masks, and then marks the store as clean.
 * @throws EBUSY while blobs are open, and the store stays open then; after any other error the store is closed, and the
 * next load recovers it
 */
export function* unloadStore(store: StoreState): Steps<void> {
  store.requireOpen();
  requireAllClosed(store);
  try {
    yield* closeLingering(store);
    yield* finishAllDeletes(store);
    yield* clearUncleared(store);
    yield* store.barrierAtOnce();
    const block = yield* readSuper(store);
    yield* writeMasks(store, block);
    yield* store.barrierAtOnce();
    block.clean = 1;
    yield* writeSuper(store, block);
  } finally {
    yield* release(store);
  }
}

/** Removes the store from the device. EBUSY while blobs are open. */
export function* destroyStore(store: StoreState): Steps<void> {
  store.requireOpen();
  requireAllClosed(store);
  try {
    yield* wait(store.deviceChannel.writeZeroes(0, store.geometry.blocksPerPage));
    yield* store.barrierAtOnce();
  } finally {
    yield* release(store);
  }
}

/** Closes the store without writing anything, as if the process was killed. */
export function* abandonStore(store: StoreState): Steps<void> {
  if (!store.isClosed) yield* release(store);
}

/**
 * Throws EBUSY while users have blobs open. Lingering blobs also keep snapshots open, but are closed with the store.
 */
function requireAllClosed(store: StoreState): void {
  const held = new Map<Blob, number>();
  for (const { back } of store.openBlobs.values()) {
    if (back?.kind === 'blob') held.set(back.blob, (held.get(back.blob) ?? 0) + 1);
  }
  const open = store.openBlobs.values().filter((blob) => blob.openRefs > (held.get(blob) ?? 0));
  if (open.length === 0) return;
  throw new BlobstoreError('EBUSY', `${open.length} blobs are open, among them blob ${open[0].id}: close them first`);
}

function* release(store: StoreState): Steps<void> {
  store.markClosed();
  for (const channel of [...store.channels]) yield* channel.close();
  store.channels.clear();
  for (const blob of [...store.openBlobs.values(), ...store.unfinishedDeletes.values()]) {
    if (blob.back?.kind === 'external') yield* wait(blob.back.device.close());
  }
  for (const blob of store.openBlobs.values()) store.removeOpen(blob);
  store.deviceChannel.close();
}
