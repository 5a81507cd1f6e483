/** A store with I/O workers for a benchmark, with a thick blob that `stampBlocks` has filled. */

import fs from 'node:fs';
import { MemoryDevice } from '@blobyard/io';
import { type Blob, createStore, openStore, type Store } from '@blobyard/workers';
import type { Scale } from '../benchmark.js';
import { contiguousStart, MIB, sized, temporaryFile } from '../fixtures.js';
import { fillRandomly } from '../random.js';
import { stampBlocks } from './transfer-plan.js';

/** Bytes that transfers are spread over. */
const REGION_BYTES = 128 * MIB;
const REGION_BYTES_SMOKE = 4 * MIB;
/** Bytes around the region for the store's metadata. */
const METADATA_BYTES = 8 * MIB;

/** 'mapped': a file that is read through a mapping (`mmap: true`); without the engine, by `fs`. */
export type Medium = 'memory' | 'file' | 'mapped';

export interface Ground {
  readonly store: Store;
  readonly blob: Blob;
  readonly regionBytes: number;
  /** The place of the blob's bytes without the engine: in the device's memory or file, from byte `start` on. */
  readonly bare: BarePlace;
  dispose(): Promise<void>;
}

/** A place in a memory (`memory`) or in a file (`path`), from byte `start` on. Posted to other threads. */
export interface BarePlace {
  readonly start: number;
  readonly memory?: SharedArrayBuffer;
  readonly path?: string;
}

/**
 * Creates a store on a new device and fills a blob.
 *
 * @param threads - number of I/O workers
 */
export async function newGround(scale: Scale, medium: Medium, threads: number): Promise<Ground> {
  const regionBytes = sized(scale, REGION_BYTES, REGION_BYTES_SMOKE);
  const sizeBytes = regionBytes + METADATA_BYTES;
  const file = medium === 'memory' ? undefined : temporaryFile();
  const memory = file ? undefined : MemoryDevice.create({ sizeBytes });
  const device = memory ?? { kind: 'file' as const, path: file?.path ?? '', mmap: medium === 'mapped' };
  const make = memory ? device : { ...device, kind: 'file' as const, path: file?.path ?? '', create: true, sizeBytes };
  const { id, start } = await fill(make, regionBytes);
  if (file) sync(file.path);
  const store = await openStore({ device, threads });
  const blob = await store.open(id);
  const place = memory?.bytes();
  const bare = place
    ? { start: place.byteOffset + start, memory: place.buffer as SharedArrayBuffer }
    : { start, path: file?.path };
  const dispose = async () => {
    await blob.close();
    await store.close();
    await memory?.close();
    file?.dispose();
  };
  return { store, blob, regionBytes, bare, dispose };
}

/**
 * Creates the store and the blob, without other threads: only such a store gives access to the engine, which knows
 * where the blob's clusters are. Returns the id of the blob, and the position of its first byte on the device.
 */
async function fill(device: Parameters<typeof createStore>[0]['device'], regionBytes: number) {
  const store = await createStore({ device, clusterSizeBytes: MIB, clearMethod: 'none' });
  const blob = await store.create({ sizeBytes: regionBytes });
  const piece = new Uint8Array(MIB);
  for (let at = 0; at < regionBytes; at += MIB) {
    fillRandomly(piece, at + 1);
    stampBlocks(piece, at);
    blob.writeSync(piece, at);
  }
  const { id } = blob;
  const start = contiguousStart(store.engine.blobstore, blob.engine);
  await blob.close();
  await store.close();
  return { id, start };
}

/** Flushes the file, so that the system does not write it to the medium during the measurement. */
function sync(path: string): void {
  const fd = fs.openSync(path, 'r+');
  fs.fsyncSync(fd);
  fs.closeSync(fd);
}
