/** The store in an image, opened for a look on a view of it. */

import { BlobstoreError, run } from '@blobyard/core';
import type { OverlayDevice } from '@blobyard/io';
import { type OpenStoreOptions, openStore, type Store } from '@blobyard/workers';
import { type Image, withView } from './image.js';

export interface OpenedStore {
  readonly store: Store;
  /** What is wrong with the masks of a store that was closed, and nothing else; what is used was found without them then. */
  readonly maskDamage: BlobstoreError | undefined;
}

/** True when the store was closed: its masks say what is used. Stores of the first versions do not have them all. */
export function wasClosed({ superBlock }: Image): boolean {
  return superBlock.clean !== 0 && superBlock.blobIdMask.count > 0;
}

/** Opens the store of an image, damaged blobs set aside, and lets go of it afterwards. Throws as `openStore`. */
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
    durability: 'process-crash', // leftovers of a crash are of no interest here, and clearing them takes time
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
