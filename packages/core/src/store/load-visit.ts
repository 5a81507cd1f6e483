/**
 * The look at every blob when a store is opened: snapshots and clones are listed, and what a crash cut short is set right.
 */

import { type Blob, INTERNAL_XATTR } from '../blob/blob.js';
import { toBlobstoreError } from '../error.js';
import { deleteBlob } from '../metadata/delete.js';
import { dropReference, openBlob } from '../metadata/open-close.js';
import type { Steps } from '../metadata/steps.js';
import { type BlobId, blobIdOfPage, type MdPage, NONE_U32 } from '../units/units.js';
import type { LoadedBlob } from './options.js';
import type { StoreState } from './store-state.js';

/** Visits every blob in the order of its id. A blob that cannot be opened is noted in `store.damaged`, and passed over. */
export function* visitBlobs(store: StoreState, onBlob: ((blob: LoadedBlob) => void) | undefined): Steps<void> {
  const { usedBlobIds } = store;
  for (let page = usedBlobIds.findFirstSet(0); page !== NONE_U32; page = usedBlobIds.findFirstSet(page + 1)) {
    const id = blobIdOfPage(page as MdPage);
    try {
      const blob = yield* openBlob(store, id);
      yield* visit(store, blob, onBlob);
    } catch (cause) {
      const error = toBlobstoreError(cause, `blob ${id} cannot be opened`);
      store.damaged.push({ id, page: page as MdPage, error });
    }
    yield undefined;
  }
}

function* visit(store: StoreState, blob: Blob, onBlob: ((blob: LoadedBlob) => void) | undefined): Steps<void> {
  let other: BlobId | undefined;
  try {
    other =
      blob.internalId(INTERNAL_XATTR.SNAPSHOT_PENDING_REMOVAL) ?? blob.internalId(INTERNAL_XATTR.SNAPSHOT_IN_PROGRESS);
  } catch (error) {
    yield* dropReference(store, blob);
    throw error;
  }
  if (other === undefined) {
    onBlob?.(blob);
    if (blob.isClone) store.snapshots.add(blob.parentId, blob.id);
    return yield* dropReference(store, blob);
  }
  const outcome = yield* examine(store, blob, other);
  if (outcome === 'keep') {
    keepSnapshot(blob);
    onBlob?.(blob);
    if (blob.isClone) store.snapshots.add(blob.parentId, blob.id);
  }
  if (outcome === 'remove') return yield* removeSnapshot(store, blob);
  yield* dropReference(store, blob);
}

/**
 * Decides about a snapshot that was being made or deleted: it stays if the other blob is its clone on disk. When the other
 * blob cannot be opened nothing is decided.
 */
function* examine(store: StoreState, blob: Blob, other: BlobId): Steps<'keep' | 'remove' | 'leave'> {
  let clone: Blob;
  try {
    clone = yield* openBlob(store, other);
  } catch {
    return 'leave';
  }
  const isClone = clone.parentId === blob.id;
  if (!isClone) disownShared(blob, clone);
  yield* dropReference(store, clone);
  return isClone ? 'keep' : 'remove';
}

/** Finishes a snapshot that counts already, or takes back the mark of one that was to be deleted. */
function keepSnapshot(blob: Blob): void {
  blob.mdRo = false;
  for (const mark of [INTERNAL_XATTR.SNAPSHOT_PENDING_REMOVAL, INTERNAL_XATTR.SNAPSHOT_IN_PROGRESS]) {
    if (blob.internalXattrs.get(mark)) blob.removeXattr(mark, true);
  }
  blob.setReadOnly();
}

/** Takes out of a snapshot's map what another blob has too; what is left is the snapshot's alone, and goes with it. */
function disownShared(snapshot: Blob, other: Blob): void {
  for (const which of ['clusters', 'extentPages'] as const) {
    const [own, others] = [snapshot.map[which], other.map[which]];
    for (let index = 0; index < Math.min(own.count, others.count); index++) {
      if (own.get(index) === 0 || own.get(index) !== others.get(index)) continue;
      own.set(index, 0);
      if (which === 'clusters') snapshot.map.allocatedCount--;
    }
  }
}

/** Removes a snapshot that does not count. */
function* removeSnapshot(store: StoreState, blob: Blob): Steps<void> {
  blob.mdRo = false;
  blob.setThin();
  const { id } = blob;
  yield* dropReference(store, blob);
  yield* deleteBlob(store, id);
}
