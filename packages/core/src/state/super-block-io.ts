/** Reading and writing of the super block of an open store. */

import { SuperBlock } from '../format/super-block.js';
import { type Steps, wait } from '../steps/steps.js';
import { PAGE_BYTES } from '../units/units.js';
import type { StoreState } from './store-state.js';

/** Reads the super block and checks that it is this store's. */
export function* readSuper(store: StoreState): Steps<SuperBlock> {
  const block = new SuperBlock();
  yield* wait(store.deviceChannel.read(block.bytes, 0, 0, PAGE_BYTES / store.device.blockLengthBytes));
  block.validate(store.bstype, store.deviceBytes);
  return block;
}

/** Writes the super block with the store's super blob and type, durably. */
export function* writeSuper(store: StoreState, block: SuperBlock): Steps<void> {
  block.superBlobId = store.superBlobId;
  block.bstype = store.bstype;
  block.seal();
  yield* wait(store.deviceChannel.write(block.bytes, 0, 0, PAGE_BYTES / store.device.blockLengthBytes));
  yield* store.barrier();
}

/**
 * Changes the super block. One change at a time: what another one has read must not be written over this one, or a store in use
 * could come to be called clean, or a size be lost.
 * @param change - answers false to leave the disk as it is
 */
export function* updateSuper(store: StoreState, change: (block: SuperBlock) => boolean): Steps<void> {
  yield* store.superUpdates.alone(function* () {
    const block = yield* readSuper(store);
    if (change(block)) yield* writeSuper(store, block);
  });
}

/** Makes the disk say that the store is in use, before its metadata first changes after a clean load. */
export function* markDirty(store: StoreState): Steps<void> {
  if (!store.clean) return;
  yield* updateSuper(store, (block) => {
    if (!store.clean) return false; // somebody else was faster
    block.clean = 0;
    if (block.sizeBytes === 0) block.sizeBytes = store.deviceBytes;
    return true;
  });
  store.clean = false;
}
