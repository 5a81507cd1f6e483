/** What a store gives to other threads, to attach by: plain, cloneable any number of times, and small, since it shares memory. */

import { randomUUID } from 'node:crypto';
import { type Blobstore, BlobstoreError, type GeometryFields, type SharedStoreBuffers } from '@blobyard/core';
import type { DeviceSpec } from '@blobyard/io';
import { allocateMailboxes } from './mailbox.js';

const VERSION = 1;

export interface StoreHandle {
  readonly blobyard: typeof VERSION;
  /** Tells stores of a process apart. */
  readonly name: string;
  /** How each thread opens the device. */
  readonly device: DeviceSpec;
  readonly geometry: GeometryFields;
  /** Requests in promise form that a channel takes at once. */
  readonly channelOpsMax: number;
  readonly buffers: SharedStoreBuffers;
  readonly mailboxes: SharedArrayBuffer;
}

/** The handle of an open store. Metadata thread, once. */
export function makeStoreHandle(blobstore: Blobstore, device: DeviceSpec): StoreHandle {
  const { blockLengthBytes, ioUnitBytes, clusterBytes, mdStartPage, mdPageCount } = blobstore.geometry;
  return {
    blobyard: VERSION,
    name: `blobyard ${randomUUID()}`,
    device,
    geometry: { blockLengthBytes, ioUnitBytes, clusterBytes, mdStartPage, mdPageCount },
    channelOpsMax: blobstore.channelOpsMax,
    buffers: blobstore.shared.buffers,
    mailboxes: allocateMailboxes(),
  };
}

/** EINVAL unless it is a handle that has kept its shared memory on the way. */
export function checkStoreHandle(handle: StoreHandle): StoreHandle {
  const isHandle =
    typeof handle === 'object' &&
    handle !== null &&
    handle.blobyard === VERSION &&
    handle.mailboxes instanceof SharedArrayBuffer;
  if (isHandle) return handle;
  const advice = 'pass what store.share() answered by workerData or postMessage, within one process';
  throw new BlobstoreError('EINVAL', `this is no handle of an open store: ${advice}`);
}
