/**
 * Makes a blob independent of its parent. Inflating allocates every cluster and makes the blob thick. Decoupling
 * allocates only the clusters that its parent has. The blob stays thin, and becomes a clone of its parent's parent if
 * there is one.
 */

import { showsData, ZEROES } from '../blob/backing.js';
import { type Backing, type Blob, INTERNAL_XATTR } from '../blob/blob.js';
import { INVALID_FLAG } from '../format/flags.js';
import { noCluster } from '../shared/claim-cluster.js';
import type { DataPath } from '../state/data-path.js';
import type { StoreState } from '../state/store-state.js';
import { type Steps, wait } from '../steps/steps.js';
import { throwIfAborted, type Watched } from '../steps/watched.js';
import { BlobstoreError } from '../units/error.js';
import { type BlobCluster, type BlobId, EXTERNAL_SNAPSHOT_ID, INVALID_BLOB_ID } from '../units/units.js';
import { relyingOn, withBlobLocked } from './blob-lock.js';
import { closeExternalChannels } from './external.js';
import { frozen } from './freeze.js';
import { dropReference, openBlob } from './open-close.js';
import { sync } from './persist.js';
import { settle } from './settle.js';

/**
 * Allocates every cluster of a thin blob. It is thick then, and has no parent. A thick blob stays as it is.
 * @param channel - copies the clusters
 * @throws ENOSPC not enough free clusters, EBUSY another operation is running on the blob, ECANCELED aborted. Clusters
 * that were copied until then stay.
 */
export function inflateBlob(store: StoreState, channel: DataPath, id: BlobId, watched?: Watched): Steps<void> {
  return makeIndependent(store, channel, id, 'inflate', watched);
}

/**
 * Copies the clusters of a clone's parent into the clone. The clone then has its parent's parent as its parent, or
 * none. An external clone is inflated.
 * @throws EINVAL the blob has no parent; ENOENT its parent is an external clone, as with the reference; otherwise as
 * `inflateBlob`
 */
export function decoupleBlob(store: StoreState, channel: DataPath, id: BlobId, watched?: Watched): Steps<void> {
  return makeIndependent(store, channel, id, 'decouple', watched);
}

type Mode = 'inflate' | 'decouple';

function* makeIndependent(
  store: StoreState,
  channel: DataPath,
  id: BlobId,
  asked: Mode,
  watched: Watched | undefined,
): Steps<void> {
  const blob = yield* openBlob(store, id);
  const wasReadOnly = blob.mdRo;
  try {
    yield* withBlobLocked(store, blob, asked, function* () {
      if (blob.parentId === INVALID_BLOB_ID && asked === 'decouple') {
        throw new BlobstoreError('EINVAL', `blob ${id} has no parent to be decoupled from`);
      }
      if (!blob.isThin) return;
      yield* settle(store, blob);
      const parent = blob.back?.kind === 'blob' ? blob.back.blob : undefined;
      if (asked === 'inflate' || parent === undefined) {
        yield* allocateAll(store, channel, blob, 'inflate', watched);
        return yield* becomeThick(store, blob);
      }
      // If the parent got more clusters meanwhile, or another parent, the blob would lose what it does not copy.
      yield* relyingOn(parent, 'decouple a clone of', function* () {
        yield* allocateAll(store, channel, blob, 'decouple', watched);
        yield* moveUp(store, blob, parent);
      });
    });
  } finally {
    blob.mdRo = wasReadOnly;
    yield* dropReference(store, blob);
  }
}

function* allocateAll(
  store: StoreState,
  channel: DataPath,
  blob: Blob,
  mode: Mode,
  watched: Watched | undefined,
): Steps<void> {
  const needed = mode === 'inflate' ? unallocated(blob) : readFromParent(blob);
  const free = store.shared.clusters.freeCount;
  if (needed.length > free) throw noCluster(needed.length, free);
  for (let done = 0; done < needed.length; done++) {
    throwIfAborted(watched);
    yield* channel.allocate(blob, needed[done]);
    watched?.onProgress?.(done + 1, needed.length);
    yield undefined;
  }
}

function unallocated(blob: Blob): BlobCluster[] {
  const found: BlobCluster[] = [];
  for (let index = 0; index < blob.clusterCount; index++) {
    if (blob.clusterAt(index) === 0) found.push(index as BlobCluster);
  }
  return found;
}

/** The clusters that must be copied before the blob becomes a clone of its parent's parent: else they could change. */
function readFromParent(blob: Blob): BlobCluster[] {
  if (blob.back?.kind !== 'blob') return [];
  const parent = blob.back.blob;
  const found: BlobCluster[] = [];
  const add = (_cluster: number, index: number) => {
    if (blob.clusterAt(index) === 0) found.push(index as BlobCluster);
  };
  parent.map.clusters.forEachSet(add, 0, Math.min(parent.clusterCount, blob.clusterCount));
  // Past the parent's end the blob reads zeroes. Without a copy, it would read the data of the parent's parent there.
  for (let index = parent.clusterCount; index < blob.clusterCount; index++) {
    if (blob.clusterAt(index) === 0 && showsData(parent.back, index)) found.push(index as BlobCluster);
  }
  return found;
}

/** Removes the parent of a blob that has every cluster allocated; the blob is thick from now on. */
function* becomeThick(store: StoreState, blob: Blob): Steps<void> {
  yield* changeParent(store, blob, INVALID_BLOB_ID, undefined, () => {
    const xattr = blob.isExternalClone ? INTERNAL_XATTR.EXTERNAL_SNAPSHOT : INTERNAL_XATTR.SNAPSHOT;
    if (blob.internalXattrs.get(xattr)) blob.removeXattr(xattr, true);
    if (blob.internalXattrs.get(INTERNAL_XATTR.SNAPSHOT)) blob.removeXattr(INTERNAL_XATTR.SNAPSHOT, true);
    blob.flags.invalid &= ~(INVALID_FLAG.EXTERNAL_SNAPSHOT | INVALID_FLAG.THIN);
  });
}

/** Makes a blob that has all of its parent's clusters a clone of its parent's parent. */
function* moveUp(store: StoreState, blob: Blob, { parentId: grandparentId }: Blob): Steps<void> {
  if (grandparentId === INVALID_BLOB_ID) {
    return yield* changeParent(store, blob, INVALID_BLOB_ID, ZEROES, () => {
      if (blob.internalXattrs.get(INTERNAL_XATTR.SNAPSHOT)) blob.removeXattr(INTERNAL_XATTR.SNAPSHOT, true);
    });
  }
  if (grandparentId === EXTERNAL_SNAPSHOT_ID) {
    const why = 'its parent is a clone of an external snapshot, and there is no blob that could take the place of that';
    throw new BlobstoreError('ENOENT', `blob ${blob.id} cannot be decoupled: ${why}; inflate it instead`);
  }
  const grandparent = yield* openBlob(store, grandparentId);
  try {
    yield* changeParent(store, blob, grandparentId, { kind: 'blob', blob: grandparent }, () => {
      blob.setInternalId(INTERNAL_XATTR.SNAPSHOT, grandparentId);
    });
  } catch (error) {
    if (blob.parentId !== grandparentId) yield* dropReference(store, grandparent);
    throw error;
  }
}

/**
 * Changes the parent of a blob, which is frozen meanwhile: first on disk, then in memory. If that fails the blob is as
 * before.
 */
function* changeParent(
  store: StoreState,
  blob: Blob,
  parentId: BlobId,
  back: Backing | undefined,
  describe: () => void,
): Steps<void> {
  const before = { parentId: blob.parentId, back: blob.back, flags: { ...blob.flags } };
  const xattrs = [INTERNAL_XATTR.SNAPSHOT, INTERNAL_XATTR.EXTERNAL_SNAPSHOT].map(
    (name) => [name, blob.internalXattrs.get(name)] as const,
  );
  yield* frozen(store, blob, function* () {
    if (blob.isExternalClone) closeExternalChannels(store, blob);
    blob.mdRo = false; // a read-only blob can be made independent, too
    describe();
    blob.parentId = parentId;
    blob.state = 'dirty';
    try {
      yield* sync(store, blob);
    } catch (error) {
      for (const [name, value] of xattrs) if (value) blob.internalXattrs.set(name, value);
      blob.parentId = before.parentId;
      blob.flags = before.flags;
      throw error;
    }
    blob.back = back;
    blob.publish();
    store.snapshots.remove(before.parentId, blob.id);
    if (blob.isClone) store.snapshots.add(parentId, blob.id);
  });
  if (before.back?.kind === 'blob') yield* dropReference(store, before.back.blob);
  if (before.back?.kind === 'external') yield* wait(before.back.device.close());
}
