/** Opens the store in an image for reading, on a view that keeps all writes in memory. */

import { BlobstoreError, run } from '@blobyard/core';
import type { OverlayDevice } from '@blobyard/io';
import { type OpenStoreOptions, openStore, type Store } from '@blobyard/workers';
import { type Image, withView } from './image.js';

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

/** Opens the store in an image, sets damaged blobs aside, and closes it after `look`. Throws as `openStore`. */
export function withStore<T>(image: Image, look: (opened: OpenedStore) => Promise<T>): Promise<T> {
  return withView(image.path, async (view) => {
    const opened = await openSomehow(image, view);
    try {
      return await look(opened);
    } finally {
      await run(opened.store.engine.blobstore.abandon());
      await opened.store.close();
    }
  });
}

async function openSomehow(image: Image, device: OverlayDevice): Promise<OpenedStore> {
  const options: OpenStoreOptions = {
    device,
    durability: 'process-crash', // all writes stay in memory, so write barriers are of no use
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
