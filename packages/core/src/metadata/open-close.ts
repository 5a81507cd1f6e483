/** Opens and closes blobs, by reference count. */

import { ZEROES } from '../blob/backing.js';
import { type Backing, Blob } from '../blob/blob.js';
import { ClosedBlob } from '../blob/blob-summary.js';
import type { ClearMethod } from '../format/flags.js';
import type { Loading, StoreState } from '../state/store-state.js';
import { Attempts } from '../steps/batch.js';
import { Deferred } from '../steps/deferred.js';
import { ENDED, type Steps, wait } from '../steps/steps.js';
import { assert, BlobstoreError } from '../units/error.js';
import { type BlobId, type MdPage, pageOfBlobId } from '../units/units.js';
import { closeExternalChannels, openExternalBacking } from './external.js';
import { freeze, thaw, unfreeze } from './freeze.js';
import { readMetadata } from './load-blob.js';
import { persist } from './persist.js';

/** The options of opening a blob. They have an effect only when the blob is not open yet. */
export interface OpenBlobOptions {
  /** How clusters are cleared while the blob is open; `default`: as the blob's metadata says. Default: 'default'. */
  clearMethod?: ClearMethod;
  /** Passed to the external snapshot callback as `blobContext`. */
  externalContext?: unknown;
}

/**
 * Opens a blob, or takes another reference to it. The snapshots behind it are opened with it. They are read one after
 * another, and then attached in a loop, the last one first: a recursion could overflow the stack, since a line of
 * clones can be of any length.
 * @param read - the blob, if it was read already and is not open
 * @throws ENOENT no such blob, EINVAL damaged metadata, EBUSY being deleted, ENOTSUP an external clone without a
 * callback, ENOMEM too many open blobs
 */
export function* openBlob(store: StoreState, id: BlobId, options: OpenBlobOptions = {}, read?: Blob): Steps<Blob> {
  const line: Blob[] = [];
  const loading: Loading = { pages: [], ended: new Deferred(), waitsFor: undefined };
  let behind: Blob | undefined;
  try {
    behind = yield* readLine(store, id, options, line, loading, read);
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
 * Reads a blob and the snapshots behind it into `line`, up to the first that is open already. Only one caller at a time
 * loads a blob; the others wait. Otherwise a caller could read the blob's pages during an operation on the blob, and
 * find its former parent, which may be deleted by then, or be another blob.
 * @returns a reference to the open one; undefined when there is none
 */
function* readLine(
  store: StoreState,
  first: BlobId,
  options: OpenBlobOptions,
  line: Blob[],
  loading: Loading,
  read: Blob | undefined,
): Steps<Blob | undefined> {
  for (let id = first; ; id = line[line.length - 1].parentId) {
    const page = pageOfBlobId(id);
    if (store.loading.has(page)) yield* waitForOthers(store, id, loading);
    store.requireOpen();
    if (!store.usedBlobIds.get(page)) throw new BlobstoreError('ENOENT', `there is no blob ${id}`);
    const damage = store.setAside.get(page);
    if (damage) throw new BlobstoreError(damage.error.code, damage.error.message);
    const open = findOpen(store, id);
    if (open) return takeReference(open, line.length > 0);
    requireWhole(store, id, page);
    store.loading.set(page, loading);
    loading.pages.push(page);
    const isRead = line.length === 0 && read !== undefined;
    const blob = isRead ? read : new Blob(store.shared, id);
    if (line.length === 0 && !isRead) {
      blob.clearMethod = options.clearMethod ?? 'default';
      blob.externalContext = options.externalContext;
    }
    line.push(blob);
    if (!isRead) yield* readMetadata(store, blob);
    if (blob.isExternalClone) yield* openExternalBacking(store, blob);
    else if (blob.isThin && !blob.isClone) blob.back = ZEROES;
    if (blob.state === 'loading') blob.state = 'clean';
    if (!blob.isClone) return undefined;
  }
}

/**
 * Waits until no other caller is loading a blob. EINVAL when that caller, directly or through others, waits for this
 * one to end.
 */
function* waitForOthers(store: StoreState, id: BlobId, own: Loading): Steps<void> {
  const page = pageOfBlobId(id);
  for (let other = store.loading.get(page); other !== undefined; other = store.loading.get(page)) {
    for (let at: Loading | undefined = other; at !== undefined; at = at.waitsFor && store.loading.get(at.waitsFor)) {
      if (at === own) throw new BlobstoreError('EINVAL', `blob ${id} is damaged: its parents form a cycle`);
    }
    own.waitsFor = page;
    yield other.ended.promise;
    own.waitsFor = undefined;
  }
}

/** Makes a blob that was read an open one, with `behind` as its parent. */
function attachTo(store: StoreState, blob: Blob, behind: Blob | undefined): void {
  blob.attach(); // ENOMEM when too many blobs are open: nothing is attached to it yet
  if (behind) blob.back = { kind: 'blob', blob: behind };
  blob.publish();
  blob.openRefs = 1;
  store.addOpen(blob);
}

/**
 * Releases a reference. When it was the last one, dirty metadata is written, and the blob is removed from memory.
 * @throws EBADF when the blob is not open; an error of writing, after which the blob stays open
 */
export function* closeBlob(store: StoreState, blob: Blob): Steps<void> {
  yield* closeBacking(store, yield* closeOne(store, blob));
}

/** Releases a reference. If it was the last one, returns what was behind the blob, which the caller has to close. */
function closeOne(store: StoreState, blob: Blob): Steps<Backing | undefined> {
  requireReference(blob);
  return blob.openRefs === 1 ? closeLast(store, blob) : closeOneOfMany(store, blob);
}

function* closeOneOfMany(store: StoreState, blob: Blob): Steps<undefined> {
  yield* persist(store, blob);
  blob.openRefs--;
  return undefined;
}

function requireReference(blob: Blob): void {
  if (blob.openRefs === 0) throw new BlobstoreError('EBADF', `blob ${blob.id} is closed already`);
}

/**
 * Releases a reference and never fails; used for an operation's own reference, or that of a user who is gone. If it was
 * the last one and the metadata cannot be written, the blob lingers in memory without a reference, so that nothing is
 * lost. Opening the blob finds it. Flushing or unloading the store writes it, or throws the error.
 */
export function* dropReference(store: StoreState, blob: Blob): Steps<void> {
  try {
    yield* closeBacking(store, yield* dropOne(store, blob));
  } catch {
    // only closing an external device can fail here: the store does not use it any more
  }
}

function* dropOne(store: StoreState, blob: Blob): Steps<Backing | undefined> {
  try {
    return yield* closeOne(store, blob);
  } catch {
    letLinger(store, blob);
    return undefined;
  }
}

/**
 * Waits for the operations inside a blob, writes it, and removes it from memory. Operations that queue in the meantime
 * find it closed.
 */
function* closeLast(store: StoreState, blob: Blob): Steps<Backing | undefined> {
  yield* freeze(store, blob);
  try {
    if (blob.isExternalClone) closeExternalChannels(store, blob);
    yield* persist(store, blob);
  } catch (error) {
    unfreeze(store, blob);
    throw error;
  }
  requireReference(blob); // two callers may have released the same reference at the same time
  blob.openRefs--;
  if (blob.openRefs > 0) {
    unfreeze(store, blob); // it was opened again in the meantime
    return undefined;
  }
  return forgetClosed(store, blob);
}

/**
 * Writes the blobs that linger without a reference, and removes them from memory. Closing a clone can make its snapshot
 * linger; that one is closed, too. A blob that cannot be written goes on lingering; the others are still written, and
 * the first error is thrown at the end.
 */
export function* closeLingering(store: StoreState): Steps<void> {
  const attempts = new Attempts();
  const tried = new Set<Blob>();
  for (let blob = findLingering(store, tried); blob !== undefined; blob = findLingering(store, tried)) {
    const lingering = blob;
    tried.add(lingering);
    lingering.openRefs = 1; // closed like any other blob: it may be opened in the meantime
    yield* attempts.attempt(() => closeOrLinger(store, lingering));
  }
  attempts.end();
}

function* closeOrLinger(store: StoreState, blob: Blob): Steps<void> {
  try {
    yield* closeBlob(store, blob);
  } catch (error) {
    letLinger(store, blob);
    throw error;
  }
}

/** Releases a reference to a blob that could not be closed. */
function letLinger(store: StoreState, blob: Blob): void {
  if (blob.openRefs > 0) blob.openRefs--;
  if (blob.openRefs === 0 && store.openBlobs.get(blob.page) === blob) store.lingering.add(blob);
}

function findLingering(store: StoreState, tried: ReadonlySet<Blob>): Blob | undefined {
  for (const blob of store.lingering) {
    if (blob.openRefs > 0)
      store.lingering.delete(blob); // it was opened again
    else if (!tried.has(blob)) return blob;
  }
  return undefined;
}

/** Removes a blob without references from memory; returns what was behind it. */
function forgetClosed(store: StoreState, blob: Blob): Backing | undefined {
  const { back, slot } = blob;
  keepSummary(store, blob);
  store.removeOpen(blob);
  blob.back = undefined;
  blob.free();
  thaw(store, slot);
  return back;
}

/** Keeps what a list of blobs shows of a blob that is not open any more. */
export function keepSummary(store: StoreState, blob: Blob): void {
  let closed = store.closedBlobs.get(blob.page);
  if (closed === undefined) {
    closed = new ClosedBlob();
    store.closedBlobs.set(blob.page, closed);
  }
  closed.keep(blob);
}

/** Returns the open blob with an id; undefined when it is not open. */
export function findOpen(store: StoreState, id: BlobId): Blob | undefined {
  const blob = store.openBlobs.get(pageOfBlobId(id));
  return blob?.id === id ? blob : undefined;
}

/** Releases what a blob holds: its lists, its slot, and the reference to what is behind it. */
export function* freeBlob(store: StoreState, blob: Blob): Steps<void> {
  const { back } = blob;
  blob.back = undefined;
  blob.free();
  yield* closeBacking(store, back);
}

/** Releases the reference to what is behind a blob, which does not read it any more. */
export function freeBacking(store: StoreState, blob: Blob): Steps<void> {
  const { back } = blob;
  blob.back = undefined;
  return closeBacking(store, back);
}

/**
 * Closes what was behind a blob, and then whatever has no other reference because of that. It is a loop, not a
 * recursion, as in opening.
 */
function closeBacking(store: StoreState, back: Backing | undefined): Steps<void> {
  return back === undefined || back.kind === 'zeroes' ? ENDED : closeLine(store, back);
}

function* closeLine(store: StoreState, back: Backing): Steps<void> {
  let at: Backing | undefined = back;
  while (at?.kind === 'blob') at = yield* dropOne(store, at.blob);
  if (at?.kind === 'external') yield* wait(at.device.close());
}

/** False for a blob that was closed or deleted, or is being deleted: its metadata must not be written. */
export function isInUse(store: StoreState, blob: Blob): boolean {
  return store.openBlobs.get(blob.page) === blob && !blob.deleting;
}

/**
 * Takes another reference to an open blob. A snapshot that is being deleted can still be opened by the clone that takes
 * it over; others get EBUSY.
 */
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
