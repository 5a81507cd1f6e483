/** Images for the tests of the command: stores in real files. */

import { readFileSync, writeFileSync } from 'node:fs';
import { pageOfBlobId, run, SuperBlock } from '@blobyard/core';
import { createStore, type Store } from '@blobyard/workers';
import { newPath } from '../io/temp-folder.js';

export const KiB = 1024;
export const CLUSTER = 16 * KiB;
const IMAGE_BYTES = 4096 * KiB;
const PAGE = 4096;

/** The ids of the blobs of an image. */
export interface Ids {
  readonly disk: bigint;
  readonly snapshot: bigint;
  readonly clone: bigint;
  readonly thick: bigint;
}

export interface TestImage {
  readonly path: string;
  readonly ids: Ids;
}

/** A name with an escape sequence for red text and a carriage return. */
export const EVIL_NAME = 'red\u001b[31m\nand more';

/** A new store with a thin blob, its snapshot, another clone of the snapshot, and a thick blob without a name. */
export async function makeStore(blockLengthBytes = 4096): Promise<{ store: Store } & TestImage> {
  const path = newPath();
  const device = { kind: 'file', path, create: true, sizeBytes: IMAGE_BYTES, blockLengthBytes } as const;
  const store = await createStore({ device, clusterSizeBytes: CLUSTER, bstype: 'TEST' });
  const disk = await store.create({ name: 'disk', sizeBytes: 16 * CLUSTER, thin: true });
  await disk.write(new Uint8Array(4 * CLUSTER).fill(1), 0);
  const snapshot = await disk.snapshot({ name: 'before' });
  await disk.write(new Uint8Array(100).fill(2), 0);
  const clone = await snapshot.clone({ name: EVIL_NAME });
  const thick = await store.create({ sizeBytes: 2 * CLUSTER });
  await store.setSuperBlob(disk.id);
  await store.flush();
  const ids = { disk: disk.id, snapshot: snapshot.id, clone: clone.id, thick: thick.id };
  return { store, path, ids };
}

/** An image of a store that was closed. */
export async function closedImage(blockLengthBytes?: number): Promise<TestImage> {
  const { store, path, ids } = await makeStore(blockLengthBytes);
  await store.close();
  return { path, ids };
}

/** An image of a store that was not closed. */
export async function dirtyImage(blockLengthBytes?: number): Promise<TestImage> {
  const { store, path, ids } = await makeStore(blockLengthBytes);
  await run(store.engine.blobstore.abandon());
  await store.close();
  return { path, ids };
}

/** Overwrites some bytes of an image. */
export function patch(path: string, position: number, bytes: Uint8Array): void {
  const image = readFileSync(path);
  image.set(bytes, position);
  writeFileSync(path, image);
}

/** Damages the first page of a blob's metadata. */
export function damageBlob(path: string, id: bigint): void {
  const { metadata } = superBlockOf(path);
  patch(path, (metadata.start + pageOfBlobId(id)) * PAGE + 100, new Uint8Array(8).fill(0xee));
}

/** Overwrites the beginning of the mask of used clusters. */
export function damageMask(path: string): void {
  patch(path, superBlockOf(path).clusterMask.start * PAGE, new Uint8Array(16).fill(0xee));
}

/** Changes bytes of the super block, and updates its crc unless told otherwise. */
export function editSuper(path: string, change: (bytes: Uint8Array) => void, isSealed = true): void {
  const block = superBlockOf(path);
  change(block.bytes);
  if (isSealed) block.seal();
  patch(path, 0, block.bytes);
}

function superBlockOf(path: string): SuperBlock {
  const block = new SuperBlock();
  block.bytes.set(readFileSync(path).subarray(0, PAGE));
  return block;
}
