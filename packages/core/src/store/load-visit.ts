/**
 * Visits every blob when a store is opened: records snapshots and clones, and finishes or undoes what a crash
 * interrupted.
 */

import { Blob, INTERNAL_XATTR } from '../blob/blob.js';
import { otherOf } from '../blob/snapshot-mark.js';
import { finishDelete, hide } from '../metadata/delete.js';
import { readMetadata } from '../metadata/load-blob.js';
import { persistTakenOver } from '../metadata/note-insertions.js';
import { closeBlob, dropReference, findOpen, keepSummary, openBlob } from '../metadata/open-close.js';
import { persist } from '../metadata/persist.js';
import { PagesAhead } from '../state/pages-ahead.js';
import type { StoreState } from '../state/store-state.js';
import { ENDED, type Steps } from '../steps/steps.js';
import { BlobstoreError, ExternalSnapshotError, toBlobstoreError, UnavailableBlobError } from '../units/error.js';
import { extentPageIndex } from '../units/extent-pages.js';
import { type BlobId, blobIdOfPage, type MdPage, NONE_U32, pageOfBlobId } from '../units/units.js';
import { HeldClones } from './held-clones.js';
import type { Census } from './load-census.js';
import type { LoadedBlob } from './options.js';

type OnBlob = (blob: LoadedBlob) => void;

/**
 * Visits every blob in ascending order of ids. A blob that cannot be opened is added to `store.damaged`, and skipped.
 * @param census - counts what the blobs have. With it nothing is corrected, and the visit ends at the first doubt.
 */
export function* visitBlobs(store: StoreState, onBlob: OnBlob | undefined, census?: Census): Steps<void> {
  const held = new HeldClones(store);
  const leaving: BlobId[] = [];
  store.pagesAhead = new PagesAhead(store.deviceChannel, store.geometry);
  try {
    yield* visitAll(store, onBlob, census, { held, leaving });
  } finally {
    store.pagesAhead = undefined;
    yield* held.release();
  }
  yield* removeAll(store, leaving);
}

/** What a visit has to release, or to delete, at its end. */
interface Visit {
  readonly held: HeldClones;
  /** Snapshots that are not in effect: unfinished ones that their counterpart does not need. */
  readonly leaving: BlobId[];
}

function* visitAll(
  store: StoreState,
  onBlob: OnBlob | undefined,
  census: Census | undefined,
  visited: Visit,
): Steps<void> {
  const { usedBlobIds } = store;
  for (let index = usedBlobIds.findFirstSet(0); index !== NONE_U32; index = usedBlobIds.findFirstSet(index + 1)) {
    const page = index as MdPage;
    if (store.setAside.has(page)) continue;
    const id = blobIdOfPage(page);
    try {
      yield* readAhead(store, page);
      const read = findOpen(store, id) ? undefined : yield* readForVisit(store, id);
      if (read && isPlain(store, read)) visitPlain(store, read, onBlob, census);
      else {
        const blob = yield* openBlob(store, id, {}, read);
        if (store.insertionLog?.has(page)) yield* persistTakenOver(store, blob);
        yield* visit(store, blob, onBlob, census, visited);
      }
    } catch (cause) {
      if (!isDamage(cause)) throw cause;
      const error = toBlobstoreError(cause, `blob ${id} cannot be opened`);
      store.damaged.push({ id, page, error });
      if (census && isMetadataDamage(error)) census.isInDoubt = true;
      else if (census) yield* census.addUnavailable(id);
      else if (!isMetadataDamage(error)) yield* persistUnavailable(store, id);
    }
    if (census?.isInDoubt) return;
    yield undefined;
  }
}

function readAhead({ pagesAhead, shared }: StoreState, page: MdPage): Steps<void> {
  return pagesAhead?.cover(page, (each) => shared.locked(() => shared.pages.isUsed(each))) ?? ENDED;
}

function* readForVisit(store: StoreState, id: BlobId): Steps<Blob> {
  const blob = new Blob(store.shared, id);
  try {
    yield* readMetadata(store, blob);
    return blob;
  } catch (error) {
    blob.free();
    throw error;
  }
}

/** True for a blob that needs no other blob and no correction. Most blobs are such, and are visited without opening. */
function isPlain(store: StoreState, blob: Blob): boolean {
  const { insertionLog } = store;
  return (
    blob.state === 'loading' && blob.internalXattrs.isEmpty && !insertionLog?.has(blob.page) && !blob.isExternalClone
  );
}

function visitPlain(store: StoreState, blob: Blob, onBlob: OnBlob | undefined, census: Census | undefined): void {
  try {
    census?.add(blob);
    onBlob?.(blob);
    keepSummary(store, blob);
  } finally {
    blob.free();
  }
}

/**
 * Writes the corrections of a blob that can be read, but not opened, because its external snapshot is missing. A crash
 * made them necessary, and after the store is closed cleanly nothing could detect that they are missing. Does nothing
 * for a snapshot that is unfinished.
 * @throws ENOSPC when the metadata region is full: a blob that is not open cannot be kept in memory to be written later
 */
function* persistUnavailable(store: StoreState, id: BlobId): Steps<void> {
  const blob = new Blob(store.shared, id);
  try {
    yield* readMetadata(store, blob);
    if (blob.state === 'dirty' && otherOf(blob) === undefined) yield* persist(store, blob);
  } catch (error) {
    if (error instanceof UnavailableBlobError) return; // the blob is of a newer version, or its map is too large
    if (!(error instanceof BlobstoreError) || error.code !== 'ENOSPC') throw error;
    const advice = `a crash left changes of blob ${id} unwritten: open the store with its external snapshot, then make room`;
    throw new BlobstoreError('ENOSPC', `${error.message}; ${advice}`, { cause: error });
  } finally {
    blob.free();
  }
}

function* visit(
  store: StoreState,
  blob: Blob,
  onBlob: OnBlob | undefined,
  census: Census | undefined,
  { held, leaving }: Visit,
): Steps<void> {
  census?.add(blob);
  let other: BlobId | undefined;
  try {
    other = otherOf(blob);
  } catch (error) {
    yield* dropReference(store, blob);
    throw error;
  }
  if (other === undefined) {
    onBlob?.(blob);
    if (blob.isClone) store.snapshots.add(blob.parentId, blob.id);
    return yield* held.hold(blob);
  }
  yield* held.release(); // the blob is corrected next, and must not be held open meanwhile
  if (census) {
    census.isInDoubt = true; // a clean unload leaves no marks
    return yield* dropReference(store, blob);
  }
  let outcome: 'keep' | 'remove' | 'leave';
  try {
    outcome = yield* examine(store, blob, other);
  } catch (error) {
    yield* dropReference(store, blob);
    throw error;
  }
  if (outcome === 'keep') {
    keepSnapshot(blob);
    onBlob?.(blob);
    if (blob.isClone) store.snapshots.add(blob.parentId, blob.id);
  }
  if (outcome === 'remove') leaving.push(blob.id);
  // The snapshot's pages may belong to the other blob by now. So they must not be written, even if they map fewer
  // clusters than the snapshot's size says.
  if (outcome !== 'keep') blob.state = 'clean';
  yield* closeBlob(store, blob);
}

/**
 * False when the device has failed. Then nothing is known about the blob. If the store took it for damaged, it would
 * not know its clones either, and would delete the snapshot behind them.
 */
function isDamage(error: unknown): boolean {
  if (error instanceof ExternalSnapshotError) return true;
  return error instanceof BlobstoreError && error.code !== 'EIO';
}

/** True when a blob cannot be opened because of its metadata; false when something that it needs is missing. */
export function isMetadataDamage(error: BlobstoreError): boolean {
  return !(error instanceof UnavailableBlobError) && error.code !== 'ENOMEM';
}

/**
 * Decides what happens to a snapshot that was being created or deleted: it stays if the other blob is its clone on
 * disk. When the other blob cannot be opened, nothing is decided.
 */
function* examine(store: StoreState, blob: Blob, other: BlobId): Steps<'keep' | 'remove' | 'leave'> {
  let clone: Blob;
  try {
    clone = yield* openBlob(store, other);
  } catch (error) {
    if (!isDamage(error)) throw error;
    return 'leave';
  }
  const isClone = clone.parentId === blob.id;
  try {
    if (isClone) yield* giveBack(store, blob, clone);
  } finally {
    yield* dropReference(store, clone);
  }
  return isClone ? 'keep' : 'remove';
}

/**
 * Removes the clusters of its snapshot from a clone's map, on disk, before the mark of the snapshot is removed. If a
 * crash came before the clone's root, the clone's extent pages may name these clusters already. The clone reads the
 * same data either way, but writing to them would change the snapshot.
 */
function* giveBack(store: StoreState, snapshot: Blob, clone: Blob): Steps<void> {
  const { map } = clone;
  const giveBackShared = (cluster: number, index: number) => {
    if (cluster !== snapshot.clusterAt(index)) return;
    map.clusters.set(index, 0);
    map.allocatedCount--;
    if (clone.usesExtentTable) map.dirtyExtentPages.add(extentPageIndex(index));
    clone.state = 'dirty';
  };
  map.clusters.forEachSet(giveBackShared, 0, snapshot.map.clusters.count);
  yield* persist(store, clone);
}

/** Finishes a snapshot that is in effect already, or removes the mark of one that was being deleted. */
function keepSnapshot(blob: Blob): void {
  blob.mdRo = false;
  for (const mark of [INTERNAL_XATTR.SNAPSHOT_PENDING_REMOVAL, INTERNAL_XATTR.SNAPSHOT_IN_PROGRESS]) {
    if (blob.internalXattrs.get(mark)) blob.removeXattr(mark, true);
  }
  blob.setReadOnly();
}

/**
 * Removes from a snapshot's map what another blob has, too, or may have; the rest is deleted with the snapshot. All
 * clusters on an extent page that another blob has are that blob's: by now it may have been written with clusters of the
 * insertion log, which only that blob has.
 */
function disownShared(store: StoreState, snapshot: Blob): void {
  const { map } = snapshot;
  const shared = store.sharedByBlobs;
  if (shared === undefined) {
    map.clear();
    return;
  }
  const isOnSharedPage = (index: number) => {
    const page = snapshot.usesExtentTable ? map.extentPages.get(extentPageIndex(index)) : 0;
    return page !== 0 && shared.pages.get(page);
  };
  map.clusters.forEachSet((cluster, index) => {
    if (!shared.clusters.get(cluster) && !isOnSharedPage(index)) return;
    map.clusters.set(index, 0);
    map.allocatedCount--;
    if (snapshot.usesExtentTable) map.dirtyExtentPages.add(extentPageIndex(index));
  });
  map.extentPages.forEachSet((page, index) => {
    if (!shared.pages.get(page)) return;
    map.extentPages.set(index, 0);
    map.dirtyExtentPages.delete(index);
  });
}

/**
 * Removes snapshots. Must be called when all other blobs are settled: the mark of another snapshot may name one of
 * these.
 */
function* removeAll(store: StoreState, leaving: readonly BlobId[]): Steps<void> {
  for (const id of leaving) {
    try {
      yield* removeSnapshot(store, yield* openBlob(store, id));
    } catch (cause) {
      if (!isDamage(cause)) throw cause;
      store.damaged.push({ id, page: pageOfBlobId(id), error: toBlobstoreError(cause, `blob ${id} cannot be opened`) });
    }
  }
}

/**
 * Removes a snapshot that is not in effect. The clusters to release are taken from its map in memory, not from its
 * extent pages: those may belong to another blob by now.
 */
function* removeSnapshot(store: StoreState, blob: Blob): Steps<void> {
  disownShared(store, blob);
  hide(store, blob);
  yield* finishDelete(store, blob);
}
