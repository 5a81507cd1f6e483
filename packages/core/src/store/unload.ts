/** The end of an open store: unloading, which leaves it clean, and destroying. */

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
 * Writes the masks, then marks the store as clean.
 * @throws EBUSY while blobs are open, and then the store stays as it is; after any other error it is closed, and will be
 * recovered when it is opened next.
 */
export function* unloadStore(store: StoreState): Steps<void> {
  store.requireOpen();
  requireAllClosed(store);
  try {
    yield* closeLingering(store);
    yield* finishAllDeletes(store);
    yield* clearUncleared(store);
    yield* store.barrier();
    const block = yield* readSuper(store);
    yield* writeMasks(store, block);
    yield* store.barrier();
    block.clean = 1;
    yield* writeSuper(store, block);
  } finally {
    yield* release(store);
  }
}

/** Makes the device hold no store any more. EBUSY while blobs are open. */
export function* destroyStore(store: StoreState): Steps<void> {
  store.requireOpen();
  requireAllClosed(store);
  try {
    yield* wait(store.deviceChannel.writeZeroes(0, store.geometry.blocksPerPage));
    yield* store.barrier();
  } finally {
    yield* release(store);
  }
}

/** Forgets the store as a killed process would: nothing is written. */
export function* abandonStore(store: StoreState): Steps<void> {
  if (!store.isClosed) yield* release(store);
}

/** EBUSY while users have blobs open; blobs that linger hold snapshots open too, but end with the store. */
function requireAllClosed(store: StoreState): void {
  const held = new Map<Blob, number>();
  for (const { back } of store.openBlobs.values()) {
    if (back?.kind === 'blob') held.set(back.blob, (held.get(back.blob) ?? 0) + 1);
  }
  const open = [...store.openBlobs.values()].filter((blob) => blob.openRefs > (held.get(blob) ?? 0));
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
  store.openBlobs.clear();
  store.deviceChannel.close();
}
