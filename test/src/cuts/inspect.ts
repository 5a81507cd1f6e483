/** Inspects a disk after a cut: checks it, opens it with the engine, reads, uses and closes it, and checks it again. */

import { BlobstoreError, type BlockDevice, run } from '@blobyard/core';
import { SparseMemoryDevice } from '@blobyard/io';
import { openStore, type Store } from '@blobyard/workers';
import { requireSound } from '../check/require-sound.js';
import { textOf } from '../stress/actor.js';
import type { CutKind } from './disks.js';
import type { FoundBlob, FoundBlobs } from './model.js';
import type { Recorded } from './recorded.js';
import { CACHE_OWNERS } from './recording-device.js';

export interface Inspected {
  readonly found: FoundBlobs;
  /** What is wrong with the store itself, without a look at the model. */
  readonly findings: readonly string[];
}

export async function inspect(disk: Uint8Array, kind: CutKind, recorded: Recorded): Promise<Inspected> {
  const { told } = recorded;
  const found = new Map<string, FoundBlob>();
  try {
    const device = deviceOf(disk, kind, recorded);
    await run(requireSound(device, 'after the cut'));
    const store = await openStore({ device, durability: told.durability });
    await run(store.engine.blobstore.audit());
    for (const { id, name } of await store.blobs()) {
      if (name === undefined || found.has(name)) throw new Error(`blob ${id} has the name ${name}`);
      found.set(name, await readBlob(store, id));
    }
    await requireCleanSpace(store);
    await store.close();
    await run(requireSound(device, 'in the store that was opened, used and closed'));
    return { found, findings: [] };
  } catch (error) {
    return { found, findings: [textOf(error)] };
  }
}

/** The device for a disk. After a power cut its cache owner is another one, since the cache lost the last writes. */
function deviceOf(disk: Uint8Array, kind: CutKind, { told, blockLengthBytes }: Recorded): BlockDevice {
  const device = SparseMemoryDevice.fromBytes(disk, { blockLengthBytes });
  const { synchronous, canCopy } = device;
  return {
    ...{ blockLengthBytes, synchronous, canCopy },
    cacheOwner: told.namesCacheOwner ? CACHE_OWNERS[kind] : undefined,
    get blockCount() {
      return device.blockCount;
    },
    openChannel: () => device.openChannel(),
    close: () => device.close(),
  };
}

async function readBlob(store: Store, id: bigint): Promise<FoundBlob> {
  const blob = await store.open(id);
  const xattrs = new Map<string, string>();
  for (const name of await blob.xattrs.list()) xattrs.set(name, (await blob.xattrs.getText(name)) ?? '');
  const bytes = await blob.read(0, blob.sizeBytes);
  const { isReadOnly } = blob;
  await blob.close();
  return { bytes, xattrs, isReadOnly };
}

/** Allocates all free clusters by a write to each. The bytes beside these writes must read as zeroes. */
async function requireCleanSpace(store: Store): Promise<void> {
  const { freeBytes, clusterSizeBytes, ioUnitBytes } = await store.stats();
  if (freeBytes === 0) return;
  const written = new Uint8Array(ioUnitBytes).fill(0xff);
  try {
    const blob = await store.create({ sizeBytes: freeBytes, thin: true });
    for (let at = 0; at < freeBytes; at += clusterSizeBytes) blob.writeSync(written, at);
    const bytes = await blob.read(0, freeBytes);
    for (let at = 0; at < freeBytes; at += clusterSizeBytes) bytes.fill(0, at, at + ioUnitBytes);
    if (!areZeroes(bytes)) throw new Error('a newly allocated cluster shows its former data');
    await blob.close();
  } catch (error) {
    if (!(error instanceof BlobstoreError && ['ENOSPC', 'ENOMEM'].includes(error.code))) throw error;
  }
}

function areZeroes(bytes: Uint8Array): boolean {
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  for (let at = 0; at < words.length; at++) if (words[at] !== 0) return false;
  return true;
}
