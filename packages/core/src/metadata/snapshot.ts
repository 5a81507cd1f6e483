/**
 * Creates a snapshot: a new, read-only blob takes over the cluster map of the original. The original becomes its clone,
 * with nothing allocated. On disk:
 *
 * 1. The new blob is created, empty, with a mark that it is a snapshot in progress, and with the original's id.
 * 2. The new blob's root names all clusters of the original; both own them now.
 * 3. The original's root names none, and the snapshot as its parent: from here on the snapshot is in effect.
 * 4. The mark is removed, and the snapshot becomes read-only.
 *
 * After a crash before step 3 the original is as it was; loading deletes the snapshot, but not its clusters. After a
 * crash after step 3 loading removes the mark.
 */

import { ZEROES } from '../blob/backing.js';
import { type Blob, INTERNAL_XATTR, idToBytes } from '../blob/blob.js';
import { type DerivedXattrs, deriveXattrs, NO_XATTRS } from '../blob/xattr-list.js';
import { INVALID_FLAG } from '../format/flags.js';
import type { StoreState } from '../state/store-state.js';
import type { Steps } from '../steps/steps.js';
import { BlobstoreError } from '../units/error.js';
import { type BlobId, EXTERNAL_SNAPSHOT_ID, INVALID_BLOB_ID } from '../units/units.js';
import { withBlobLocked, withBlobsLocked } from './blob-lock.js';
import { eraseNoted } from './clearing.js';
import { createOpenBlob } from './create.js';
import { deleteBlob, discardOpen, finishDelete, hide, isHidden } from './delete.js';
import { closeExternalChannels } from './external.js';
import { allFrozen, frozen } from './freeze.js';
import { dropReference, openBlob } from './open-close.js';
import { persist, persistAlone, persistUnsettled, sync, syncAlone } from './persist.js';
import { noteUnsettled, settle, trySettle } from './settle.js';

/**
 * Creates a snapshot of a blob, which becomes a clone of it. Operations on the blob wait meanwhile.
 * @throws EINVAL the blob is read-only, EBUSY another operation is running on it, and what creating a blob throws;
 * nothing has changed then
 */
export function* createSnapshot(store: StoreState, id: BlobId, xattrs: DerivedXattrs = NO_XATTRS): Steps<BlobId> {
  const original = yield* openBlob(store, id);
  try {
    requireWritable(original);
    return yield* withBlobLocked(store, original, 'snapshot', () => snapshotLocked(store, original, xattrs));
  } finally {
    yield* dropReference(store, original);
  }
}

/** A blob of which a snapshot is asked for. */
export interface SnapshotAsked {
  readonly id: BlobId;
  readonly xattrs: DerivedXattrs;
}

/**
 * Creates snapshots of several blobs, all of the same moment: all blobs are frozen before the first snapshot is created.
 * After a crash some of the snapshots may exist; each of them is whole. If one cannot be created, those that exist are
 * deleted again; one that cannot be deleted stays.
 * @throws as `createSnapshot`; also EINVAL a blob is named twice
 */
export function* createSnapshots(store: StoreState, asked: readonly SnapshotAsked[]): Steps<BlobId[]> {
  const originals: Blob[] = [];
  const made: BlobId[] = [];
  try {
    for (const { id } of asked) {
      const original = yield* openBlob(store, id);
      if (originals.includes(original)) {
        yield* dropReference(store, original);
        throw new BlobstoreError('EINVAL', `blob ${id} is named twice: name each blob once`);
      }
      originals.push(original);
      requireWritable(original);
    }
    yield* withBlobsLocked(store, originals, 'snapshot', () =>
      allFrozen(store, originals, function* () {
        for (const [at, original] of originals.entries()) {
          made.push(yield* snapshotLocked(store, original, asked[at].xattrs));
        }
      }),
    );
    return made;
  } catch (error) {
    for (const id of made.reverse()) yield* deleteQuietly(store, id);
    throw error;
  } finally {
    for (const original of originals) yield* dropReference(store, original);
  }
}

/** Deletes a snapshot that is of no use. Its error is left out: the caller throws the one that came before. */
function* deleteQuietly(store: StoreState, id: BlobId): Steps<void> {
  try {
    yield* deleteBlob(store, id);
  } catch {
    // The snapshot stays. Its blob reads the same with it as without it.
  }
}

function requireWritable({ id, isReadOnly }: Blob): void {
  if (!isReadOnly) return;
  throw new BlobstoreError('EINVAL', `blob ${id} is read-only: clone it instead, a snapshot would be no different`);
}

function* snapshotLocked(store: StoreState, original: Blob, asked: DerivedXattrs): Steps<BlobId> {
  yield* settle(store, original);
  const { map } = original;
  // Clusters that were cut off or dropped stay with the original: the snapshot must not release them.
  const wasCut = map.clusters.count > original.clusterCount;
  // Its extent pages must map exactly as many clusters as the roots of both will say.
  const isLonger = store.keepsHighWater && original.clusterCount !== original.syncedClusterCount;
  if (wasCut || isLonger || map.dropped.length > 0 || map.uncertain.length > 0) yield* persist(store, original);
  const { clusterCount, usesExtentTable: useExtentTable } = original;
  const xattrs = deriveXattrs(original.xattrs, asked);
  const mark = { name: INTERNAL_XATTR.SNAPSHOT_IN_PROGRESS, value: idToBytes(original.id) };
  const snapshot = yield* createOpenBlob(store, { clusterCount, thin: true, useExtentTable, xattrs }, [mark]);
  try {
    // The original's metadata must not be written while its map is moved: it would be empty on disk, without map and
    // parent.
    yield* frozen(store, original, () => original.persists.alone(() => switchOver(store, original, snapshot)));
  } catch (error) {
    const isMade = original.back?.kind === 'blob' && original.back.blob === snapshot;
    if (!isMade && !isHidden(store, snapshot.page)) yield* discardOpen(store, snapshot); // freezing has failed
    yield* trySettle(store, original);
    throw error;
  }
  return snapshot.id;
}

/** Steps 2 to 4, with the original frozen. The reference to the snapshot becomes the original's. */
function* switchOver(store: StoreState, original: Blob, snapshot: Blob): Steps<void> {
  // The insertion log must not give the original clusters that become the snapshot's.
  if (store.insertionLog?.has(original.page)) yield* persistAlone(store, original);
  yield* eraseNoted(store, original);
  const before = new OriginalBefore(original);
  try {
    moveMap(store, original, snapshot);
    yield* persist(store, snapshot); // its last barrier makes the snapshot's data durable, too
  } catch (error) {
    moveMapBack(original, snapshot, before);
    hide(store, snapshot);
    noteUnsettled(store, [original.page, snapshot.page], () => finishDelete(store, snapshot));
    throw error;
  }
  try {
    link(original, snapshot);
    yield* syncAlone(store, original);
    original.mdRo = false; // as in the reference, even if the sync made the data read-only
  } catch (error) {
    before.restore(original);
    moveMapBack(original, snapshot, before);
    hide(store, snapshot);
    noteUnsettled(store, [original.page, snapshot.page], () => undoOnDisk(store, original, snapshot));
    throw error;
  }
  list(store, original, snapshot, before);
  original.publish();
  yield* finish(store, snapshot);
}

/** The state of the original before it became a clone. */
class OriginalBefore {
  readonly map;
  readonly unrooted: readonly number[];
  readonly parentId;
  readonly back;
  readonly flags;
  readonly #snapshotXattr;
  readonly #externalXattr;

  constructor(original: Blob) {
    this.map = original.map;
    this.unrooted = original.map.unrootedExtentPages.elements;
    this.parentId = original.parentId;
    this.back = original.back;
    this.flags = { ...original.flags };
    this.#snapshotXattr = original.internalXattrs.get(INTERNAL_XATTR.SNAPSHOT);
    this.#externalXattr = original.internalXattrs.get(INTERNAL_XATTR.EXTERNAL_SNAPSHOT);
  }

  restore(original: Blob): void {
    const { internalXattrs } = original;
    if (this.#snapshotXattr) internalXattrs.set(INTERNAL_XATTR.SNAPSHOT, this.#snapshotXattr);
    else internalXattrs.remove(INTERNAL_XATTR.SNAPSHOT);
    if (this.#externalXattr) internalXattrs.set(INTERNAL_XATTR.EXTERNAL_SNAPSHOT, this.#externalXattr);
    original.parentId = this.parentId;
    original.back = this.back;
    original.flags = { ...this.flags };
    original.state = 'dirty';
  }
}

/** Moves the original's map, and its parent, to the snapshot. The original has an empty map then. */
function moveMap(store: StoreState, original: Blob, snapshot: Blob): void {
  if (original.isExternalClone) closeExternalChannels(store, original);
  snapshot.back = original.back;
  snapshot.flags.invalid = original.flags.invalid;
  snapshot.parentId = original.parentId;
  if (original.parentId === EXTERNAL_SNAPSHOT_ID) {
    const id = original.internalXattrs.get(INTERNAL_XATTR.EXTERNAL_SNAPSHOT);
    if (id) snapshot.setXattr(INTERNAL_XATTR.EXTERNAL_SNAPSHOT, id, true);
  } else if (original.parentId !== INVALID_BLOB_ID) {
    snapshot.setInternalId(INTERNAL_XATTR.SNAPSHOT, original.parentId);
  }
  [snapshot.map, original.map] = [original.map, snapshot.map];
  snapshot.setClearMethod(original.clearMethod);
  snapshot.publish();
  original.publish();
}

function moveMapBack(original: Blob, snapshot: Blob, before: OriginalBefore): void {
  if (original.map !== before.map) [snapshot.map, original.map] = [original.map, snapshot.map];
  for (const index of before.unrooted) original.map.unrootedExtentPages.add(index); // only the snapshot's root named them
  snapshot.back = ZEROES;
  snapshot.parentId = INVALID_BLOB_ID;
  snapshot.publish();
  original.publish();
}

/** Makes the original a clone of the snapshot. */
function link(original: Blob, snapshot: Blob): void {
  original.setInternalId(INTERNAL_XATTR.SNAPSHOT, snapshot.id);
  original.back = { kind: 'blob', blob: snapshot };
  if (original.isExternalClone) {
    original.flags.invalid &= ~INVALID_FLAG.EXTERNAL_SNAPSHOT;
    original.removeXattr(INTERNAL_XATTR.EXTERNAL_SNAPSHOT, true);
  }
  original.parentId = snapshot.id;
  original.setThin();
}

/**
 * The original's root could not be written, so it may be a clone of the snapshot on disk. The snapshot may be deleted
 * only when the former root of the original is on disk again; until then the snapshot on disk must stay as it is.
 */
function* undoOnDisk(store: StoreState, original: Blob, snapshot: Blob): Steps<void> {
  yield* persistUnsettled(store, original);
  yield* finishDelete(store, snapshot);
}

function list(store: StoreState, original: Blob, snapshot: Blob, before: OriginalBefore): void {
  store.snapshots.remove(before.parentId, original.id);
  if (snapshot.isClone) store.snapshots.add(before.parentId, snapshot.id);
  store.snapshots.add(snapshot.id, original.id);
}

/** Step 4. The snapshot is in effect already: if this fails, closing it tries again. */
function* finish(store: StoreState, snapshot: Blob): Steps<void> {
  snapshot.removeXattr(INTERNAL_XATTR.SNAPSHOT_IN_PROGRESS, true);
  snapshot.setReadOnly();
  try {
    yield* sync(store, snapshot);
  } catch (error) {
    snapshot.dataRo = true;
    snapshot.mdRo = true;
    snapshot.publish();
    throw error;
  }
}
