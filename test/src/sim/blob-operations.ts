/**
 * Operations on the metadata of one blob: opening, closing, resizing, xattrs, syncing. Each blob has one of them under
 * way at a time.
 */

import type { ErrorCode } from '@blobyard/core';
import type { ModelBlob } from './model-blob.js';
import type { World } from './world.js';

/** The error codes of operations that fail because the store is full. */
export const FULL: readonly ErrorCode[] = ['ENOSPC', 'ENOMEM'];
const XATTR_BYTES = [4, 40, 1200, 3000];

export function startOpen(world: World): boolean {
  const blob = world.pick([...world.blobs.values()].filter((each) => !each.handle && !each.isBusy));
  if (!blob) return false;
  occupied(world, `open blob ${blob.uid}`, [blob], async () => {
    blob.handle = await world.scheduler.steps(world.store.openBlob(blob.id));
  });
  return true;
}

export function startClose(world: World): boolean {
  const blob = pickOpen(world);
  if (!blob || blob.pending.size > 0 || blob.syncing > 0) return false;
  occupied(world, `close blob ${blob.uid}`, [blob], () => closeBlob(world, blob));
  return true;
}

/**
 * Closes a blob, if the store has room for its metadata. From the begin of the close it is not used for data any more.
 */
export async function closeBlob(world: World, blob: ModelBlob): Promise<void> {
  const { handle } = blob;
  if (!handle) return;
  const begun = world.tick();
  blob.isClosing = true;
  const closed = await world.scheduler.succeeds(world.scheduler.steps(world.store.closeBlob(handle)), FULL);
  blob.isClosing = false;
  if (!closed) return;
  blob.handle = undefined;
  blob.settled(begun);
}

/** Closes a blob also in a full store, by removing its xattrs: then its metadata needs no further page. */
export async function closeForCertain(world: World, blob: ModelBlob): Promise<void> {
  await closeBlob(world, blob);
  if (!blob.handle) return;
  const xattrs = new Map(blob.meta.xattrs);
  for (const name of blob.meta.xattrs.keys()) {
    if (!name.startsWith('x')) continue;
    xattrs.delete(name);
    world.store.removeXattr(blob.handle, name);
  }
  blob.accept(blob.history.propose({ xattrs }), world.tick());
  await closeBlob(world, blob);
}

export function startResize(world: World): boolean {
  const blob = pickOpen(world);
  if (!blob?.handle || blob.meta.isReadOnly) return false;
  const { handle } = blob;
  const { thinMax, thickMax } = world.configuration;
  const clusters = world.random.below((blob.meta.isThin ? thinMax : thickMax) + 1);
  if (clusters < blob.meta.clusters && [...blob.pending].some((each) => endCluster(blob, each) > clusters))
    return false;
  const state = blob.history.propose({ clusters });
  blob.steadyClusters = Math.min(clusters, blob.meta.clusters);
  const decide = (wasDone: boolean) => {
    if (wasDone) blob.accept(state, world.tick());
    else blob.history.withdraw(state);
    blob.steadyClusters = blob.meta.clusters;
  };
  occupied(world, `resize blob ${blob.uid} to ${clusters}`, [blob], async () => {
    const ends = world.scheduler.steps(world.store.resizeBlob(handle, clusters));
    decide(await world.scheduler.succeeds(ends, FULL));
  });
  return true;
}

function endCluster(blob: ModelBlob, range: { first: number; count: number }): number {
  return Math.ceil((range.first + range.count) / blob.sectorsPerCluster);
}

/** Sets or removes an xattr. This changes only memory, and is done at once. */
export function startXattr(world: World): boolean {
  const blob = pickOpen(world);
  if (!blob?.handle || blob.meta.isReadOnly) return false;
  const name = `x${world.random.below(4)}`;
  const xattrs = new Map(blob.meta.xattrs);
  if (xattrs.has(name) && world.oneIn(2)) {
    xattrs.delete(name);
    world.store.removeXattr(blob.handle, name);
  } else {
    const value = world.nextToken();
    xattrs.set(name, value);
    world.store.setXattr(blob.handle, name, numberToBytes(value, XATTR_BYTES[world.random.below(XATTR_BYTES.length)]));
  }
  blob.accept(blob.history.propose({ xattrs }), world.tick());
  world.scheduler.log(`xattr ${name} of blob ${blob.uid}: ${xattrs.get(name)}`);
  return true;
}

/** Syncs or flushes a blob. Not counted as an operation on metadata: it may overlap with any. */
export function startSync(world: World): boolean {
  const blob = world.pick([...world.blobs.values()].filter((each) => each.handle && !each.isClosing));
  if (!blob?.handle) return false;
  const { handle } = blob;
  const flushes = world.oneIn(2);
  const begun = world.tick();
  blob.syncing++;
  world.scheduler.start(`${flushes ? 'flush' : 'sync'} blob ${blob.uid}`, async () => {
    const steps = flushes ? world.store.flushBlob(handle) : world.store.syncBlob(handle);
    const synced = await world.scheduler.succeeds(world.scheduler.steps(steps), FULL);
    blob.syncing--;
    if (!synced) return;
    blob.settled(begun);
    if (flushes) blob.flushed(begun);
  });
  return true;
}

/**
 * Makes a blob read-only for good. No other operation uses it meanwhile. Its metadata fits one page, so that this
 * cannot fail.
 */
export function startReadOnly(world: World): boolean {
  const blob = pickOpen(world);
  if (!blob?.handle || blob.meta.isReadOnly || blob.meta.xattrs.size > 1 || blob.pending.size + blob.syncing > 0)
    return false;
  const { handle } = blob;
  const state = blob.history.propose({ isReadOnly: true });
  blob.isClosing = true;
  blob.isBusy = true;
  world.store.setReadOnly(handle);
  world.scheduler.start(`make blob ${blob.uid} read-only`, async () => {
    await world.scheduler.steps(world.store.syncBlob(handle));
    const now = world.tick();
    blob.accept(state, now);
    blob.settled(now);
    blob.isClosing = false;
    blob.isBusy = false;
  });
  return true;
}

/** Runs an operation, during which no other one uses the metadata of the given blobs. */
export function occupied(world: World, name: string, blobs: readonly ModelBlob[], body: () => Promise<void>): void {
  for (const blob of blobs) blob.isBusy = true;
  world.scheduler.start(name, async () => {
    await body();
    for (const blob of blobs) blob.isBusy = false;
  });
}

function pickOpen(world: World): ModelBlob | undefined {
  return world.pick([...world.blobs.values()].filter((each) => each.handle && !each.isBusy));
}

/** A value whose first bytes are a number. */
export function numberToBytes(value: number, bytes: number): Uint8Array {
  const buffer = new Uint8Array(bytes);
  new DataView(buffer.buffer).setUint32(0, value, true);
  return buffer;
}

export function bytesToNumber(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
}
