/** Compares a store with the model. Meanwhile the device answers at once, and no other operation is under way. */

import { type Blob, type BlobId, type Blobstore, type Channel, INVALID_BLOB_ID } from '@blobyard/core';
import { requireSound } from '../check/require-sound.js';
import { bytesToNumber } from './blob-operations.js';
import { EXTERNAL_UID } from './external-snapshot.js';
import { UID_XATTR } from './family-operations.js';
import type { ModelBlob } from './model-blob.js';
import { metaText } from './model-meta.js';
import { Finding } from './scheduler.js';
import type { FoundBlob, World } from './world.js';

/** The number of a blob without the xattr that has its number. */
const UNKNOWN_UID = -1;

/** Checks a store that was loaded after a cut. The model then takes over the state that was found. */
export async function checkAfterCut(world: World, wasKilled: boolean): Promise<void> {
  await atOnce(world, async (channel) => {
    for (const blob of world.blobs.values()) blob.handle = undefined;
    await checkStructure(world);
    const found = await observe(world);
    for (const decide of [...world.undecided]) decide(found);
    world.undecided.clear();
    requireSameBlobs(world, found);
    // The writes of a killed process may still be only in the device's cache: then a later power cut can lose what is
    // found now.
    const keptAt = wasKilled && world.losesUnflushed ? world.tick() : undefined;
    const isKept = wasKilled && world.configuration.namesCacheOwner;
    for (const blob of parentsFirst(world)) {
      const { id, text } = found.get(blob.uid) as FoundBlob;
      blob.id = id;
      const state = blob.history.states.findLast((each) => each.text === text);
      if (!state) throw new Finding(differentMeta(blob, text));
      const words = await readAll(world, channel, id);
      const finding = blob.recover(state, words, world.isLax, keptAt, isKept, world.tick());
      if (finding) throw new Finding(finding);
    }
    checkSuperBlock(world);
  });
}

/** Checks a store without operations under way: it must be exactly as the model. */
export async function checkAtRest(world: World): Promise<void> {
  await atOnce(world, async (channel) => {
    await checkStructure(world);
    const found = await observe(world);
    requireSameBlobs(world, found);
    for (const blob of parentsFirst(world)) {
      const { text } = found.get(blob.uid) as FoundBlob;
      const isRight = blob.isBusy ? blob.history.states.some((each) => each.text === text) : text === blob.meta.text;
      if (!isRight) throw new Finding(differentMeta(blob, text));
      const words = await readAll(world, channel, blob.id);
      const finding = blob.checkRead(words, 0, world.isLax, world.lossMoment());
      if (finding) throw new Finding(finding);
    }
    checkSuperBlock(world);
  });
}

async function atOnce(world: World, body: (channel: Channel) => Promise<void>): Promise<void> {
  const { device, scheduler, store } = world;
  device.isInstant = true;
  const channel = store.openChannel();
  try {
    await body(channel);
  } finally {
    await scheduler.steps(store.closeChannel(channel));
    device.isInstant = false;
  }
}

/** Throws unless every page and cluster has one owner, and nothing is damaged in memory or on the medium. */
async function checkStructure({ device, store, scheduler }: World): Promise<void> {
  for (const { id, error } of store.damaged) throw new Finding(`blob ${id} is damaged: ${error.message}`);
  try {
    store.verify();
    await scheduler.steps(store.audit());
    await scheduler.steps(requireSound(device, 'in the open store'));
  } catch (error) {
    throw new Finding(`the audit failed: ${error instanceof Error ? error.message : error}`);
  }
}

async function observe(world: World): Promise<Map<number, FoundBlob>> {
  const { store, scheduler } = world;
  const uids = new Map<BlobId, number>();
  const seen: { id: BlobId; blob: Blob; xattrs: Map<string, number> }[] = [];
  const opened: Blob[] = [];
  for (const id of store.blobIds()) {
    const blob = heldBlob(world, id) ?? (await scheduler.steps(store.openBlob(id)));
    if (blob !== heldBlob(world, id)) opened.push(blob);
    const xattrs = new Map(store.xattrNames(blob).map((name) => [name, bytesToNumber(store.getXattr(blob, name))]));
    uids.set(id, xattrs.get(UID_XATTR) ?? UNKNOWN_UID);
    seen.push({ id, blob, xattrs });
  }
  const found = new Map<number, FoundBlob>();
  for (const { id, blob, xattrs } of seen) {
    const meta = { clusters: blob.clusterCount, isThin: blob.isThin, isReadOnly: blob.isReadOnly, xattrs };
    const parentId = parentOf(store, id);
    const isExternal = store.externalSnapshotId(blob) !== undefined;
    const parent = isExternal ? EXTERNAL_UID : parentId === undefined ? undefined : (uids.get(parentId) ?? UNKNOWN_UID);
    const uid = uids.get(id) ?? UNKNOWN_UID;
    if (found.has(uid)) throw new Finding(`two blobs say that they are blob ${uid}`);
    found.set(uid, { id, text: metaText(meta, parent) });
  }
  for (const blob of opened) await scheduler.steps(store.closeBlob(blob));
  return found;
}

/** The workload's open handle of a blob, if there is one. Opening and closing another handle would sync the blob. */
function heldBlob(world: World, id: BlobId): Blob | undefined {
  for (const blob of world.blobs.values()) if (blob.id === id && blob.handle?.isOpen) return blob.handle;
  return undefined;
}

function parentOf(store: Blobstore, id: BlobId): BlobId | undefined {
  const parent = store.parentOf(id);
  return parent === INVALID_BLOB_ID ? undefined : parent;
}

function requireSameBlobs(world: World, found: ReadonlyMap<number, FoundBlob>): void {
  for (const [uid, { text }] of found) if (!world.blobs.has(uid)) throw new Finding(`blob ${uid} is there: ${text}`);
  for (const uid of world.blobs.keys()) if (!found.has(uid)) throw new Finding(`blob ${uid} is not there`);
}

function parentsFirst(world: World): ModelBlob[] {
  const ordered = new Set<ModelBlob>();
  const add = (blob: ModelBlob) => {
    const parent = world.parentOf(blob);
    if (parent) add(parent);
    ordered.add(blob);
  };
  for (const blob of world.blobs.values()) add(blob);
  return [...ordered];
}

async function readAll(world: World, channel: Channel, id: BlobId): Promise<Int32Array> {
  const { store, scheduler, configuration } = world;
  const held = heldBlob(world, id);
  const blob = held ?? (await scheduler.steps(store.openBlob(id)));
  const bytes = new Uint8Array(blob.clusterCount * configuration.clusterBytes);
  await channel.read(blob, bytes, 0, store.ioUnitCount(blob));
  if (!held) await scheduler.steps(store.closeBlob(blob));
  return new Int32Array(bytes.buffer);
}

function checkSuperBlock(world: World): void {
  const { store } = world;
  let superBlob: BlobId = INVALID_BLOB_ID;
  try {
    superBlob = store.getSuper();
  } catch {
    // there is none
  }
  world.superBlobs = requireCandidate('super blob', superBlob, world.superBlobs);
  world.clusterCounts = requireCandidate('number of clusters', store.dataClusterCount, world.clusterCounts);
}

function requireCandidate<T>(
  what: string,
  found: T,
  candidates: readonly { value: T; since: number }[],
): { value: T; since: number }[] {
  const fitting = candidates.filter(({ value }) => value === found);
  if (fitting.length > 0) return [fitting[fitting.length - 1]];
  throw new Finding(`the ${what} is ${found}, allowed ${candidates.map(({ value }) => value).join(' ')}`);
}

function differentMeta(blob: ModelBlob, text: string): string {
  return `blob ${blob.uid}: found ${text}; allowed ${blob.history.states.map((state) => state.text).join(' | ')}`;
}
