/** Reads and writes the super block of an open store. */

import { SuperBlock } from '../format/super-block.js';
import { ENDED, type Steps, wait } from '../steps/steps.js';
import { PAGE_BYTES } from '../units/units.js';
import { beginMarks } from './high-water.js';
import type { StoreState } from './store-state.js';

/** Reads the super block and checks that it belongs to this store. Throws as `SuperBlock.validate`. */
export function* readSuper(store: StoreState): Steps<SuperBlock> {
  const block = new SuperBlock();
  yield* wait(store.deviceChannel.read(block.bytes, 0, 0, PAGE_BYTES / store.device.blockLengthBytes));
  block.validate(store.bstype, store.deviceBytes);
  return block;
}

/** Writes the super block with the current super blob and type of the store, and makes it durable. */
export function* writeSuper(store: StoreState, block: SuperBlock): Steps<void> {
  block.superBlobId = store.superBlobId;
  block.bstype = store.bstype;
  block.seal();
  yield* wait(store.deviceChannel.write(block.bytes, 0, 0, PAGE_BYTES / store.device.blockLengthBytes));
  yield* store.barrierAtOnce();
}

/**
 * Changes the super block on disk. Changes are serialized: otherwise one could be overwritten by another that was read
 * before it, and a store in use could be marked as clean, or a new size be lost.
 * @param change - changes the block in memory; returns false to leave the disk as it is
 */
export function* updateSuper(store: StoreState, change: (block: SuperBlock) => boolean): Steps<void> {
  yield* store.superUpdates.alone(function* () {
    const block = yield* readSuper(store);
    if (change(block)) yield* writeSuper(store, block);
  });
}

/**
 * Marks the store as in use on disk, before its metadata first changes after a clean load. Then writes the high-water
 * marks, which take the place of a mask that is not valid any more.
 */
export function markDirty(store: StoreState): Steps<void> {
  return store.clean ? markInUse(store) : ENDED;
}

function* markInUse(store: StoreState): Steps<void> {
  yield* updateSuper(store, (block) => {
    if (!store.clean) return false; // another operation has done it meanwhile
    block.clean = 0;
    if (block.sizeBytes === 0) block.sizeBytes = store.deviceBytes;
    return true;
  });
  store.clean = false;
  yield* beginMarks(store);
}
