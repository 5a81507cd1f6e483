/** Makes and checks the handles by which other threads attach to a store. */

import { randomUUID } from 'node:crypto';
import {
  type Blobstore,
  BlobstoreError,
  type GeometryFields,
  PAGE_BYTES,
  SharedStore,
  type SharedStoreBuffers,
} from '@blobyard/core';
import type { DeviceSpec } from '@blobyard/io';
import type { Damage } from '../api/store.js';
import type { StoreHandle } from '../api/store-handle.js';
import { reading } from '../checks/checks.js';
import { thisThread } from '../threads/thread-life.js';
import { fromWire, toWire, type WireError } from '../threads/wire-error.js';
import { allocateMailboxes, MAILBOXES_BYTES } from './mailbox.js';

const VERSION = 3;

/** The names of the stores that this thread serves to other threads. */
export const servedHere = new Set<string>();

/**
 * Makes the handle of an open store. Metadata thread; once for each store.
 * @param device - the spec by which other threads open the store's device
 * @param shareWindow - the first byte of the range in which threads take their shares of the lock on the device's file;
 * undefined if this process has no lock
 */
export function makeStoreHandle(blobstore: Blobstore, device: DeviceSpec, shareWindow?: number): StoreHandle {
  const { blockLengthBytes, ioUnitBytes, clusterBytes, mdStartPage, mdPageCount } = blobstore.geometry;
  return {
    blobyard: VERSION,
    name: `blobyard ${randomUUID()}`,
    device,
    shareWindow,
    isReadOnly: blobstore.shared.refusesWrites,
    metadataThread: thisThread(),
    geometry: { blockLengthBytes, ioUnitBytes, clusterBytes, mdStartPage, mdPageCount },
    channelOpsMax: blobstore.channelOpsMax,
    buffers: blobstore.shared.buffers,
    mailboxes: allocateMailboxes(),
    damaged: blobstore.damaged.map(({ id, error }) => ({ id, error: toWire(error) })),
  };
}

/**
 * Checks that a value is the handle of a store, with its shared memory, and returns a copy. EINVAL for anything else. A
 * handle that was forged, from shared memory of the right sizes, is not detected.
 */
export function checkStoreHandle(handle: StoreHandle): StoreHandle {
  const isHandle = reading('the handle of a store', () => {
    if (typeof handle !== 'object' || handle === null || handle.blobyard !== VERSION) return false;
    const {
      name,
      device,
      shareWindow,
      isReadOnly,
      metadataThread,
      geometry,
      channelOpsMax,
      buffers,
      mailboxes,
      damaged,
    } = handle;
    return (
      typeof name === 'string' &&
      typeof device === 'object' &&
      (shareWindow === undefined || isCount(shareWindow)) &&
      typeof isReadOnly === 'boolean' &&
      isCount(metadataThread.id) &&
      isCount(metadataThread.since) &&
      Number.isSafeInteger(channelOpsMax) &&
      hasNumbers(geometry) &&
      hasMemories(buffers) &&
      isShared(mailboxes, MAILBOXES_BYTES) &&
      Array.isArray(damaged)
    );
  });
  if (isHandle) return { ...handle };
  const advice = 'pass what store.share() returned by workerData or postMessage, within one process';
  throw new BlobstoreError('EINVAL', `this is not a handle of an open store: ${advice}`);
}

/** The blobs that were damaged when the store was opened. */
export function damagedIn({ damaged }: StoreHandle): Damage[] {
  return damaged.map(({ id, error }) => ({ id, error: fromWire(error as WireError) as BlobstoreError }));
}

function hasNumbers(geometry: GeometryFields): boolean {
  const { blockLengthBytes, ioUnitBytes, clusterBytes, mdStartPage, mdPageCount } = geometry;
  const numbers = [blockLengthBytes, ioUnitBytes, clusterBytes, mdStartPage, mdPageCount];
  const divide =
    PAGE_BYTES % blockLengthBytes === 0 && PAGE_BYTES % ioUnitBytes === 0 && clusterBytes % PAGE_BYTES === 0;
  return (
    divide && ioUnitBytes % blockLengthBytes === 0 && numbers.every((each) => Number.isSafeInteger(each) && each > 0)
  );
}

function hasMemories(buffers: SharedStoreBuffers): boolean {
  const least = SharedStore.leastBytes(buffers.mdPageCount);
  return Object.entries(least).every(([name, bytes]) => isShared(buffers[name as keyof typeof least], bytes));
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isShared(memory: unknown, bytes: number): boolean {
  return memory instanceof SharedArrayBuffer && memory.byteLength >= bytes;
}
