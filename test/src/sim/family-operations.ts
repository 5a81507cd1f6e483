/** Operations on families of blobs: creating, deleting, snapshots, clones, inflating, decoupling. */

import type { BlobId, ClearMethod, Xattrs } from '@blobyard/core';
import { closeBlob, FULL, numberToBytes, occupied } from './blob-operations.js';
import { type DataOperation, ModelBlob } from './model-blob.js';
import type { MetaFields } from './model-meta.js';
import type { World } from './world.js';

/** The xattr with a blob's number, by which the model recognises the blob after a cut. */
export const UID_XATTR = 'uid';

export function startCreate(world: World): boolean {
  const { configuration, random } = world;
  if (world.blobs.size + world.undecided.size >= configuration.blobsMax) return false;
  const external = world.external && world.oneIn(2) ? world.external : undefined;
  const isThin = random.below(3) !== 0 || external !== undefined;
  const clusterCount = random.below((isThin ? configuration.thinMax : configuration.thickMax) + 1);
  const clearMethod = configuration.clearMethods[random.below(configuration.clearMethods.length)];
  const useExtentTable = random.below(5) !== 0;
  const uid = world.nextUid();
  const add = (id: BlobId) => {
    const made = { clusters: clusterCount, isThin, parent: external?.model };
    const blob = addBlob(world, uid, id, clearMethod, made);
    if (external) blob.copyContent(external.model);
  };
  const kind = external ? 'external clone' : isThin ? 'thin' : 'thick';
  const what = `${clusterCount} clusters, ${kind}${useExtentTable ? '' : ', runs'}, ${clearMethod}`;
  begin(world, `create blob ${uid}: ${what}`, [], uid, add, async () => {
    const options = { clusterCount, thin: isThin, clearMethod, useExtentTable, xattrs: xattrsOf(uid) };
    const externalSnapshotId = external?.id;
    return await world.scheduler.steps(world.store.createBlob({ ...options, externalSnapshotId }));
  });
  return true;
}

export function startSnapshot(world: World): boolean {
  const original = pickFamily(world, (blob) => !blob.meta.isReadOnly);
  if (!original || world.blobs.size >= world.configuration.blobsMax) return false;
  const uid = world.nextUid();
  const begun = world.tick();
  const { meta } = original;
  const overlapping = new Set<DataOperation>(original.pending);
  original.overlapping = overlapping;
  original.snapshots++;
  // The snapshot has the state that is acknowledged now, if it is made.
  const fields: MetaFields = { ...meta, isReadOnly: true, xattrs: new Map([[UID_XATTR, uid]]) };
  const { sectorsPerCluster } = world;
  const snapshot = new ModelBlob({
    uid,
    id: 0n,
    clearMethod: original.clearMethod,
    sectorsPerCluster,
    meta: fields,
    since: begun,
  });
  snapshot.copyContent(original);
  const state = original.history.propose({ parent: snapshot, isThin: true });
  const add = (id: BlobId) => {
    const now = world.tick();
    snapshot.id = id;
    snapshot.mayHave(overlapping);
    world.blobs.set(uid, snapshot);
    original.accept(state, now);
    original.settled(now);
    original.flushed(begun);
    original.overlapping = undefined;
  };
  const withdraw = () => {
    original.history.withdraw(state);
    original.overlapping = undefined;
  };
  const family = world.familyOf(original);
  begin(
    world,
    `snapshot ${uid} of blob ${original.uid}`,
    family,
    uid,
    add,
    async () => await world.scheduler.steps(world.store.createSnapshot(original.id, xattrsOf(uid))),
    withdraw,
  );
  return true;
}

export function startClone(world: World): boolean {
  const parent = pickFamily(world, (blob) => blob.meta.isReadOnly);
  if (!parent || world.blobs.size >= world.configuration.blobsMax) return false;
  const uid = world.nextUid();
  const { clusters } = parent.meta;
  const add = (id: BlobId) => {
    const clone = addBlob(world, uid, id, 'default', { clusters, isThin: true, parent });
    clone.copyContent(parent);
  };
  begin(world, `clone ${uid} of blob ${parent.uid}`, world.familyOf(parent), uid, add, async () => {
    return await world.scheduler.steps(world.store.createClone(parent.id, xattrsOf(uid)));
  });
  return true;
}

export function startDelete(world: World): boolean {
  const blob = pickFamily(world, (each) => each.pending.size + each.syncing === 0 && world.clonesOf(each).length < 2);
  if (!blob) return false;
  const [clone] = world.clonesOf(blob);
  const state = clone?.history.propose({ parent: blob.meta.parent });
  const decide = (isGone: boolean) => {
    world.undecided.delete(undecided);
    if (!isGone) {
      if (state) clone.history.withdraw(state);
      return;
    }
    world.blobs.delete(blob.uid);
    if (!state) return;
    const now = world.tick();
    clone.accept(state, now);
    clone.settled(now);
  };
  const undecided = (found: ReadonlyMap<number, unknown>) => decide(!found.has(blob.uid));
  world.undecided.add(undecided);
  occupied(world, `delete blob ${blob.uid}`, world.familyOf(blob), async () => {
    await closeBlob(world, blob);
    const deletes = world.scheduler.steps(world.store.deleteBlob(blob.id));
    decide(await world.scheduler.succeeds(deletes, [...FULL, 'EBUSY']));
  });
  return true;
}

/** Inflates a clone, or decouples it, which makes it a clone of its grandparent. */
export function startIndependence(world: World): boolean {
  const inflates = world.oneIn(2);
  const blob = pickFamily(world, ({ meta }) =>
    inflates ? meta.isThin && meta.clusters < 64 : meta.parent !== undefined,
  );
  const channel = world.pick(world.channels);
  const parent = blob?.meta.parent;
  const external = world.external?.model;
  const grandparent = parent?.meta.parent;
  if (!blob || !channel || grandparent?.isBusy) return false; // an operation on the grandparent may delete it before this one runs
  const becomesThick = inflates || parent === external; // a clone of an external snapshot can only be inflated
  const state = blob.history.propose(becomesThick ? { isThin: false, parent: undefined } : { parent: grandparent });
  const decide = (wasDone: boolean) => {
    world.undecided.delete(undecided);
    if (!wasDone) return blob.history.withdraw(state);
    const now = world.tick();
    blob.accept(state, now);
    blob.settled(now);
  };
  const undecided = (found: ReadonlyMap<number, { text: string }>) => decide(found.get(blob.uid)?.text === state.text);
  world.undecided.add(undecided);
  const isRefused = !inflates && grandparent !== undefined && grandparent === external;
  const codes = isRefused ? [...FULL, 'ENOENT' as const] : FULL;
  const family = [...world.familyOf(blob), ...(grandparent && grandparent !== external ? [grandparent] : [])];
  occupied(world, `${inflates ? 'inflate' : 'decouple'} blob ${blob.uid}`, family, async () => {
    const { store } = world;
    const steps = inflates ? store.inflateBlob(channel, blob.id) : store.decoupleBlob(channel, blob.id);
    decide(await world.scheduler.succeeds(world.scheduler.steps(steps), codes));
  });
  return true;
}

/** Starts an operation that makes a new blob. */
function begin(
  world: World,
  name: string,
  family: readonly ModelBlob[],
  uid: number,
  add: (id: BlobId) => void,
  make: () => Promise<BlobId>,
  withdraw: () => void = () => undefined,
): void {
  const decide = (id: BlobId | undefined) => {
    world.undecided.delete(undecided);
    if (id === undefined) withdraw();
    else add(id);
  };
  const undecided = (found: ReadonlyMap<number, { id: BlobId }>) => decide(found.get(uid)?.id);
  world.undecided.add(undecided);
  occupied(world, name, family, async () => {
    let id: BlobId | undefined;
    const makes = make().then((made) => {
      id = made;
    });
    await world.scheduler.succeeds(makes, FULL);
    decide(id);
  });
}

function addBlob(
  world: World,
  uid: number,
  id: BlobId,
  clearMethod: ClearMethod,
  made: { clusters: number; isThin: boolean; parent?: ModelBlob },
): ModelBlob {
  const meta: MetaFields = {
    clusters: made.clusters,
    isThin: made.isThin,
    isReadOnly: false,
    parent: made.parent,
    xattrs: new Map([[UID_XATTR, uid]]),
  };
  const { sectorsPerCluster } = world;
  const blob = new ModelBlob({ uid, id, clearMethod, sectorsPerCluster, meta, since: world.tick() });
  world.blobs.set(uid, blob);
  return blob;
}

/** A random blob that `fits`, without an operation under way on it or its family. */
function pickFamily(world: World, fits: (blob: ModelBlob) => boolean): ModelBlob | undefined {
  const isFree = (each: ModelBlob) => !each.isBusy;
  return world.pick([...world.blobs.values()].filter((blob) => fits(blob) && world.familyOf(blob).every(isFree)));
}

function xattrsOf(uid: number): Xattrs {
  return { [UID_XATTR]: numberToBytes(uid, 4) };
}
