/** Operations on the whole store, which run beside those on blobs. One of them is under way at a time. */

import { INVALID_BLOB_ID } from '@blobyard/core';
import { FULL } from './blob-operations.js';
import { settleCandidates, type World } from './world.js';

/** Starts a flush of the store. */
export function startFlush(world: World): boolean {
  if (world.isBusy) return false;
  alone(world, 'flush', async () => {
    await flushStore(world);
  });
  return true;
}

export async function flushStore(world: World): Promise<boolean> {
  const begun = world.tick();
  const before = [...world.blobs.values()];
  if (!(await world.scheduler.succeeds(world.scheduler.steps(world.store.flush()), FULL))) return false;
  for (const blob of before) {
    blob.settled(begun);
    blob.flushed(begun);
  }
  return true;
}

export function startSetSuper(world: World): boolean {
  if (world.isBusy) return false;
  const id = world.oneIn(4) ? INVALID_BLOB_ID : (world.pick([...world.blobs.values()])?.id ?? INVALID_BLOB_ID);
  world.superBlobs.push({ value: id, since: world.tick() });
  alone(world, `super blob ${id}`, async () => {
    await world.scheduler.steps(world.store.setSuper(id));
    world.superBlobs = settleCandidates(world.superBlobs, world.tick());
  });
  return true;
}

/** Makes the device larger, and starts to grow the store. */
export function startGrow(world: World): boolean {
  if (world.isBusy || !enlargeDevice(world)) return false;
  alone(world, 'grow', async () => {
    await world.scheduler.steps(world.store.growLive());
    world.clusterCounts = settleCandidates(world.clusterCounts, world.tick());
  });
  return true;
}

/** Makes the device larger, and records that the store may grow to that size. Returns false if it is at its limit. */
export function enlargeDevice(world: World): boolean {
  const { clusterBytes, clusterCountMax } = world.configuration;
  const clusters = world.device.sizeBytes / clusterBytes;
  const more = world.random.below(5);
  if (more === 0 || clusters + more > clusterCountMax) return false;
  world.device.resize((clusters + more) * clusterBytes);
  noteDeviceSize(world);
  return true;
}

/** Records that from now on the store may have as many clusters as the device has room for. */
export function noteDeviceSize(world: World): void {
  const clusters = world.device.sizeBytes / world.configuration.clusterBytes;
  const value = clusters - world.store.geometry.metadataClusterCount();
  world.clusterCounts.push({ value, since: world.tick() });
}

function alone(world: World, name: string, body: () => Promise<void>): void {
  world.isBusy = true;
  world.scheduler.start(name, async () => {
    await body();
    world.isBusy = false;
  });
}
