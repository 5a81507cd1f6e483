/**
 * Stores for benchmarks: in memory, or in a file in the system's folder for temporary files. The file is mostly in the
 * page cache.
 */

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {
  type Blob,
  Blobstore,
  type BlockDevice,
  type Channel,
  type CreateOptions,
  type InitOptions,
  runSync,
} from '@blobyard/core';
import { FileDevice, MemoryDevice } from '@blobyard/io';
import type { Scale } from './benchmark.js';

export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;
export const TIB = 1024 * GIB;

/** `smoke` for a smoke run, `full` for all others. */
export function sized(scale: Scale, full: number, smoke: number): number {
  return scale === 'smoke' ? smoke : full;
}

/** An open store with a channel. */
export interface OpenStore {
  readonly device: BlockDevice;
  readonly store: Blobstore;
  readonly channel: Channel;
}

/** A new store on a device; its data clusters are not cleared. */
export function newStore(device: BlockDevice, options: InitOptions): OpenStore {
  const store = runSync(Blobstore.init(device, { clearMethod: 'none', ...options }));
  return { device, store, channel: store.openChannel() };
}

/** A new store in memory. */
export function newMemoryStore(sizeBytes: number, options: InitOptions): OpenStore {
  return newStore(MemoryDevice.create({ sizeBytes }), options);
}

/** Creates a blob and opens it. */
export function newBlob(store: Blobstore, options: CreateOptions): Blob {
  return runSync(store.openBlob(runSync(store.createBlob(options))));
}

/** The position of a blob's first byte on its device. Throws unless the clusters of the blob are contiguous. */
export function contiguousStart(store: Blobstore, blob: Blob): number {
  const first = blob.clusterAt(0);
  for (let index = 0; index < blob.clusterCount; index++) {
    if (blob.clusterAt(index) !== first + index)
      throw new Error('the clusters of the blob are not contiguous on its device');
  }
  return first * store.geometry.clusterBytes;
}

/** A file that is removed, with its folder, by `dispose` or when the process ends. */
export interface TemporaryFile {
  readonly path: string;
  dispose(): void;
}

export function temporaryFile(): TemporaryFile {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'blobyard-bench-'));
  const dispose = () => fs.rmSync(folder, { recursive: true, force: true });
  process.once('exit', dispose);
  return { path: path.join(folder, 'yard.img'), dispose };
}

/** A device on a new, sparse file of zeroes. */
export function newFileDevice(file: TemporaryFile, sizeBytes: number, mmap = false): FileDevice {
  return FileDevice.open({ path: file.path, create: true, sizeBytes, mmap });
}
