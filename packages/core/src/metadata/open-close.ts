/** Opening and closing of blobs, by reference count. */

import { type Backing, Blob } from '../blob/blob.js';
import type { ClearMethod } from '../format/flags.js';
import type { Loading, StoreState } from '../state/store-state.js';
import { Attempts } from '../steps/batch.js';
import { Deferred } from '../steps/deferred.js';
import { type Steps, wait } from '../steps/steps.js';
import { assert, BlobstoreError } from '../units/error.js';
import { type BlobId, type MdPage, pageOfBlobId } from '../units/units.js';
import { closeExternalChannels } from './external.js';
import { freeze, thaw, unfreeze } from './freeze.js';
import { loadBlob } from './load-blob.js';
import { persist } from './persist.js';

export interface OpenBlobOptions {
  /** How clusters are cleared as long as the blob is open; `default`: as the blob's metadata says. */
  clearMethod?: ClearMethod;
  /** Given to the external snapshot callback. */
  externalContext?: unknown;
}

/**
 * Opens a blob, or takes another reference to it. The snapshots behind it are opened with it: it reads them one after another,
 * then attaches them beginning with the last one, since a line of clones may be longer than any stack.
 * @throws ENOENT no such blob, EINVAL damaged metadata, EBUSY being deleted, ENOTSUP an external clone without a callback.
 */
export function* openBlob(store: StoreState, id: BlobId, options: OpenBlobOptions = {}): Steps<Blob> {
  const line: Blob[] = [];
  const loading: Loading = { pages: new Set(), ended: new Deferred(), waitsFor: undefined };
  let behind: Blob | undefined;
  try {
    behind = yield* readLine(store, id, options, line, loading);
    for (let blob = line.at(-1); blob !== undefined; blob = line.at(-1)) {
      attachTo(store, blob, behind);
      behind = blob;
      line.pop();
    }
  } catch (error) {
    if (behind) yield* dropReference(store, behind);
    for (const blob of line) yield* freeBlob(store, blob);
    throw error;
  } finally {
    for (const page of loading.pages) store.loading.delete(page);
    loading.ended.resolve();
  }
  assert(behind !== undefined, 'no blob was opened');
  return behind;
}

/**
 * Reads a blob and the snapshots behind it into `line`, up to the first that is open already. One at a time loads a blob, and the
 * others wait: who read its pages beside an operation on it could go on with a parent that it had before, and that may be
 * deleted, or another blob by now.
 * @returns a reference to that one; undefined when there is none
 */
function* readLine(
  store: StoreState,
  first: BlobId,
  options: OpenBlobOptions,
  line: Blob[],
  loading: Loading,
): Steps<Blob | undefined> {
  for (let id = first; ; id = line[line.length - 1].parentId) {
    const page = pageOfBlobId(id);
    yield* waitForOthers(store, id, loading);
    store.requireOpen();
    if (!store.usedBlobIds.get(page)) throw new BlobstoreError('ENOENT', `there is no blob ${id}`);
    const damage = store.setAside.get(page);
    if (damage) throw new BlobstoreError(damage.error.code, damage.error.message);
    const open = findOpen(store, id);
    if (open) return takeReference(open, line.length > 0);
    requireWhole(store, id, page);
    store.loading.set(page, loading);
    loading.pages.add(page);
    const blob = new Blob(store.shared, id);
    if (line.length === 0) {
      blob.clearMethod = options.clearMethod ?? 'default';
      blob.externalContext = options.externalContext;
    }
    line.push(blob);
    yield* loadBlob(store, blob);
    if (!blob.isClone) return undefined;
  }
}

/** Waits until nobody else loads a blob. EINVAL when that one waits, itself or by way of others, for this one to end. */
function* waitForOthers(store: StoreState, id: BlobId, own: Loading): Steps<void> {
  const page = pageOfBlobId(id);
  for (let other = store.loading.get(page); other !== undefined; other = store.loading.get(page)) {
    for (let at: Loading | undefined = other; at !== undefined; at = at.waitsFor && store.loading.get(at.waitsFor)) {
      if (at === own) throw new BlobstoreError('EINVAL', `blob ${id} is damaged: it is its own parent, or a parent's`);
    }
    own.waitsFor = page;
    yield other.ended.promise;
    own.waitsFor = undefined;
  }
}

/** Makes a blob that was read an open one, in front of `behind`. */
function attachTo(store: StoreState, blob: Blob, behind: Blob | undefined): void {
  blob.attach(); // ENOMEM when there are too many: nothing is behind it yet
  if (behind) blob.back = { kind: 'blob', blob: behind };
  blob.publish();
  blob.openRefs = 1;
  store.openBlobs.set(blob.page, blob);
}

/**
 * Gives a reference back; with the last one, metadata that is not on disk yet is written, and the blob is forgotten.
 * @throws EBADF when the blob is not open; an error of writing, with which the blob stays open.
 */
export function* closeBlob(store: StoreState, blob: Blob): Steps<void> {
  yield* closeBacking(store, yield* closeOne(store, blob));
}

/** Gives a reference back, and answers what was behind the blob if it was the last one: that is still to be closed. */
function* closeOne(store: StoreState, blob: Blob): Steps<Backing | undefined> {
  requireReference(blob);
  if (blob.openRefs === 1) return yield* closeLast(store, blob);
  yield* persist(store, blob);
  blob.openRefs--;
  return undefined;
}

function requireReference(blob: Blob): void {
  if (blob.openRefs === 0) throw new BlobstoreError('EBADF', `blob ${blob.id} is closed already`);
}

/**
 * Gives a reference back whatever happens: an operation's own, or one of a user who is gone. When it was the last one and the
 * metadata cannot be written, the blob lingers in memory without a reference, so that nothing is lost: opening it finds it, and
 * a flush of the store, or unloading, writes it and hears the error.
 */
export function* dropReference(store: StoreState, blob: Blob): Steps<void> {
  try {
    yield* closeBacking(store, yield* dropOne(store, blob));
  } catch {
    // a device that cannot be closed, which has no more to do with the store
  }
}

function* dropOne(store: StoreState, blob: Blob): Steps<Backing | undefined> {
  try {
    return yield* closeOne(store, blob);
  } catch {
    if (blob.openRefs > 0) blob.openRefs--;
    return undefined;
  }
}

/** Ends what is under way in a blob, writes it, and forgets it. Operations that queue meanwhile find it closed. */
function* closeLast(store: StoreState, blob: Blob): Steps<Backing | undefined> {
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
  if (blob.openRefs > 0) {
    unfreeze(store, blob); // it was opened again meanwhile
    return undefined;
  }
  return forgetClosed(store, blob);
}

/**
 * Writes the blobs that linger without a reference, and forgets them; with a clone, its snapshot may come to linger. One that
 * cannot be written lingers on, and keeps no other from being written: the first error is thrown when all have been tried.
 */
export function* closeLingering(store: StoreState): Steps<void> {
  const attempts = new Attempts();
  const tried = new Set<Blob>();
  for (let blob = findLingering(store, tried); blob !== undefined; blob = findLingering(store, tried)) {
    const lingering = blob;
    tried.add(lingering);
    lingering.openRefs = 1; // to be closed as any other: somebody may open it meanwhile
    yield* attempts.attempt(() => closeOrLinger(store, lingering));
  }
  attempts.end();
}

function* closeOrLinger(store: StoreState, blob: Blob): Steps<void> {
  try {
    yield* closeBlob(store, blob);
  } catch (error) {
    if (blob.openRefs > 0) blob.openRefs--;
    throw error;
  }
}

function findLingering(store: StoreState, tried: ReadonlySet<Blob>): Blob | undefined {
  for (const blob of store.openBlobs.values()) if (blob.openRefs === 0 && !tried.has(blob)) return blob;
  return undefined;
}

/** Forgets a blob without references; answers what was behind it. */
function forgetClosed(store: StoreState, blob: Blob): Backing | undefined {
  const { back, slot } = blob;
  store.openBlobs.delete(blob.page);
  blob.back = undefined;
  blob.free();
  thaw(store, slot);
  return back;
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

/** Closes what was behind a blob, and what comes to have nobody in front of it by that: in a loop, as it was opened. */
function* closeBacking(store: StoreState, back: Backing | undefined): Steps<void> {
  let at = back;
  while (at?.kind === 'blob') at = yield* dropOne(store, at.blob);
  if (at?.kind === 'external') yield* wait(at.device.close());
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
