/** Opens the store in an image for reading. */

import { BlobstoreError } from '@blobyard/core';
import { type OpenStoreOptions, openStore, type Store } from '@blobyard/workers';
import { BLOCK_BYTES, type Image } from './image.js';

export interface OpenedStore {
  readonly store: Store;
  /**
   * The error of the damaged masks of a closed store, if nothing else in it is damaged. The used clusters were then
   * found without the masks.
   */
  readonly maskDamage: BlobstoreError | undefined;
}

/**
 * True when the store was closed cleanly, with all masks. Stores of the first versions of SPDK's format have no mask of
 * blob ids.
 */
export function wasClosed({ superBlock }: Image): boolean {
  return superBlock.clean !== 0 && superBlock.blobIdMask.count > 0;
}

/** Opens the store in a locked image, sets damaged blobs aside, and closes it after `look`. Throws as `openStore`. */
export async function withStore<T>(image: Image, look: (opened: OpenedStore) => Promise<T>): Promise<T> {
  const opened = await openSomehow(image);
  try {
    return await look(opened);
  } finally {
    await opened.store.close();
  }
}

async function openSomehow(image: Image): Promise<OpenedStore> {
  const options: OpenStoreOptions = {
    device: { kind: 'file', path: image.path, blockLengthBytes: BLOCK_BYTES },
    readOnly: true,
    lock: 'none', // the image is locked already
    openExternalSnapshot: () => null,
  };
  try {
    return { store: await openStore(options), maskDamage: undefined };
  } catch (error) {
    if (!(error instanceof BlobstoreError && error.code === 'EILSEQ')) throw error;
    const store = await openStore({ ...options, onDamage: 'set-aside' });
    return { store, maskDamage: wasClosed(image) && store.damaged.length === 0 ? error : undefined };
  }
}
