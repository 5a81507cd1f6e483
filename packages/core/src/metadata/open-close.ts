/** Opening and closing of blobs, by reference count. */

import type { Backing } from '../blob/backing.js';
import { Blob } from '../blob/blob.js';
import { BlobstoreError } from '../error.js';
import type { ClearMethod } from '../format/flags.js';
import type { Loading, StoreState } from '../store/store-state.js';
import { type BlobId, type MdPage, pageOfBlobId } from '../units/units.js';
import { closeExternalChannels } from './external.js';
import { freeze, thaw, unfreeze } from './freeze.js';
import { loadBlob } from './load-blob.js';
import { persist } from './persist.js';
import { Deferred, type Steps, wait } from './steps.js';

export interface OpenBlobOptions {
  /** How clusters are cleared as long as the blob is open; `default`: as the blob's metadata says. */
  clearMethod?: ClearMethod;
  /** Given to the external snapshot callback. */
  externalContext?: unknown;
  /** First pages of the blobs being opened because they are clones of this one. */
  below?: readonly MdPage[];
}

/**
 * Opens a blob, or takes another reference to it.
 * @throws ENOENT no such blob, EINVAL damaged metadata, EBUSY being deleted, ENOTSUP an external clone without a callback.
 */
export function* openBlob(store: StoreState, id: BlobId, options: OpenBlobOptions = {}): Steps<Blob> {
  const page = pageOfBlobId(id);
  const below = options.below ?? [];
  for (let loading = store.loading.get(page); loading; loading = store.loading.get(page)) {
    requireNoCircle(store, id, below);
    yield loading.ended.promise;
  }
  store.requireOpen();
  if (!store.usedBlobIds.get(page)) throw new BlobstoreError('ENOENT', `there is no blob ${id}`);
  const open = findOpen(store, id);
  if (open) return takeReference(open, below.length > 0);
  requireWhole(store, id, page);
  requireNoCircle(store, id, below);
  const loading: Loading = { ended: new Deferred(), parent: undefined };
  store.loading.set(page, loading);
  try {
    return yield* loadClosed(store, id, options, loading);
  } finally {
    store.loading.delete(page);
    loading.ended.resolve();
  }
}

/**
 * Loads a blob that is not open. One at a time loads it, and the others wait: who read its pages beside an operation on it could
 * go on with a parent that it had before, and that may be deleted, or another blob by now.
 */
function* loadClosed(store: StoreState, id: BlobId, options: OpenBlobOptions, loading: Loading): Steps<Blob> {
  const page = pageOfBlobId(id);
  const blob = new Blob(store.shared, id);
  try {
    blob.clearMethod = options.clearMethod ?? 'default';
    blob.externalContext = options.externalContext;
    yield* loadBlob(store, blob, (parentId) => {
      loading.parent = pageOfBlobId(parentId);
      return openBlob(store, parentId, { below: [...(options.below ?? []), page] });
    });
    blob.attach();
  } catch (error) {
    yield* freeBlob(store, blob);
    throw error;
  }
  blob.openRefs = 1;
  store.openBlobs.set(page, blob);
  return blob;
}

/** EINVAL when a blob that is being opened waits, by way of its parents, for a blob of which it is a parent. */
function requireNoCircle(store: StoreState, id: BlobId, below: readonly MdPage[]): void {
  for (let page: MdPage | undefined = pageOfBlobId(id); page !== undefined; page = store.loading.get(page)?.parent) {
    if (!below.includes(page)) continue;
    throw new BlobstoreError('EINVAL', `blob ${id} is damaged: it is its own parent, or a parent's`);
  }
}

/**
 * Gives a reference back; with the last one, metadata that is not on disk yet is written, and the blob is forgotten.
 * @throws EBADF when the blob is not open; an error of writing, with which the blob stays open.
 */
export function* closeBlob(store: StoreState, blob: Blob): Steps<void> {
  requireReference(blob);
  if (blob.openRefs === 1) return yield* closeLast(store, blob);
  yield* persist(store, blob);
  blob.openRefs--;
}

function requireReference(blob: Blob): void {
  if (blob.openRefs === 0) throw new BlobstoreError('EBADF', `blob ${blob.id} is closed already`);
}

/**
 * Gives an operation's own reference back. When it was the last one and the metadata cannot be written, the blob lingers in
 * memory without a reference, so that nothing is lost: opening it finds it, and unloading writes it.
 */
export function* dropReference(store: StoreState, blob: Blob): Steps<void> {
  try {
    yield* closeBlob(store, blob);
  } catch {
    if (blob.openRefs > 0) blob.openRefs--; // unless it failed after that, closing what was behind the blob
  }
}

/** Ends what is under way in a blob, writes it, and forgets it. Operations that queue meanwhile find it closed. */
function* closeLast(store: StoreState, blob: Blob): Steps<void> {
  yield* freeze(store, blob);
  try {
    if (blob.isExternalClone) closeExternalChannels(store, blob);
    yield* persist(store, blob);
  } catch (error) {
    unfreeze(store, blob);
    throw error;
  }
  requireReference(blob); // the same one may have been given back twice at once
  blob.openRefs--;
  if (blob.openRefs > 0) return unfreeze(store, blob); // it was opened again meanwhile
  yield* forgetClosed(store, blob);
}

/** Writes the blobs that linger without a reference, and forgets them; with a clone, its snapshot may come to linger. */
export function* closeLingering(store: StoreState): Steps<void> {
  for (let blob = findLingering(store); blob !== undefined; blob = findLingering(store)) {
    yield* persist(store, blob);
    yield* forgetClosed(store, blob);
  }
}

function findLingering(store: StoreState): Blob | undefined {
  for (const blob of store.openBlobs.values()) if (blob.openRefs === 0) return blob;
  return undefined;
}

function* forgetClosed(store: StoreState, blob: Blob): Steps<void> {
  const { slot } = blob;
  store.openBlobs.delete(blob.page);
  yield* freeBlob(store, blob);
  thaw(store, slot);
}

/** The open blob with an id; undefined when it is not open. */
export function findOpen(store: StoreState, id: BlobId): Blob | undefined {
  const blob = store.openBlobs.get(pageOfBlobId(id));
  return blob?.id === id ? blob : undefined;
}

/** Gives back what a blob holds: its lists, its slot, and what is behind it. */
export function* freeBlob(store: StoreState, blob: Blob): Steps<void> {
  const { back } = blob;
  blob.back = undefined;
  blob.free();
  yield* closeBacking(store, back);
}

/** Gives back what is behind a blob, which is not read any more. */
export function* freeBacking(store: StoreState, blob: Blob): Steps<void> {
  const { back } = blob;
  blob.back = undefined;
  yield* closeBacking(store, back);
}

function* closeBacking(store: StoreState, back: Backing | undefined): Steps<void> {
  if (back?.kind === 'blob') yield* dropReference(store, back.blob);
  else if (back?.kind === 'external') yield* wait(back.device.close());
}

/** False for a blob that was closed, or deleted, or is being deleted: its metadata is not to be written. */
export function isInUse(store: StoreState, blob: Blob): boolean {
  return store.openBlobs.get(blob.page) === blob && !blob.deleting;
}

/** A snapshot that is being deleted can still be opened by the clone that is to take it over. */
function takeReference(blob: Blob, forClone: boolean): Blob {
  if (blob.deleting && !forClone) throw new BlobstoreError('EBUSY', `blob ${blob.id} is being deleted`);
  blob.openRefs++;
  return blob;
}

function requireWhole(store: StoreState, id: BlobId, page: MdPage): void {
  if (store.unfinishedDeletes.has(page)) {
    throw new BlobstoreError('EBUSY', `blob ${id} is being deleted; its deletion failed half way: delete it again`);
  }
}
