/**
 * Disks that a real SPDK has left when it was killed before one of its writes (`test/images/killed`). SPDK opens all of
 * them again. So must this engine, with any options and without a report of damage, and it must find the same blobs as
 * SPDK's own recovery.
 */

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { Blobstore, checkStore, type LoadOptions, runSync, SuperBlock } from '@blobyard/core';
import { SparseMemoryDevice } from '@blobyard/io';
import { describe, expect, it } from 'vitest';
import { openByName } from '../conformance/external-snapshots.js';

const FOLDER = new URL('../../images/killed/', import.meta.url);

/** A blob as SPDK's recovery finds it. */
interface SeenBlob {
  readonly id: string;
  readonly clusters: number;
  readonly thin: boolean;
  readonly readOnly: boolean;
  readonly parent: string | null;
  readonly external: string | null;
  readonly sha256: string;
}

interface Seen {
  readonly image: string;
  readonly clusterBytes: number;
  readonly dataClusters: number;
  readonly blobs: readonly SeenBlob[];
}

/** Blobs that were growing: this engine finds them with their old size, given here, and SPDK with the new one. */
const FOUND_AS_BEFORE: Readonly<Record<string, Pick<SeenBlob, 'clusters' | 'sha256'>>> = {
  'grow-thick-2-extent-pages-02': {
    clusters: 510,
    sha256: '32e35bb4d288bce7f7a81c2357260eab5dc635f06b4feeaa7b67dc0e252d88a9',
  },
  'grow-thin-write-01': { clusters: 8, sha256: 'ba02a60752ab961e61a9212d69e0ccf314e261f4b62c79bcf1d4a0b4bc1f74e2' },
  'grow-thin-write-02': { clusters: 8, sha256: 'ba02a60752ab961e61a9212d69e0ccf314e261f4b62c79bcf1d4a0b4bc1f74e2' },
};
const GROWN_ID = '4294967298';

const SEEN = readFileSync(new URL('seen-by-spdk.jsonl', FOLDER), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as Seen);

const OPTIONS: Record<string, LoadOptions> = {
  'as openStore does': { onDamage: 'refuse' },
  'written through': { onDamage: 'refuse', durability: 'process-crash' },
  'as the specification does': { durability: 'process-crash', highWater: false },
};

function deviceOf(image: string): SparseMemoryDevice {
  return SparseMemoryDevice.fromBytes(gunzipSync(readFileSync(new URL(`${image}.img.gz`, FOLDER))));
}

function textOf(bytes: Uint8Array | undefined): string | null {
  return bytes === undefined ? null : Buffer.from(bytes).toString('latin1');
}

function wantedOf({ image, blobs }: Seen): SeenBlob[] {
  return blobs.map((blob) => (blob.id === GROWN_ID ? { ...blob, ...FOUND_AS_BEFORE[image] } : blob));
}

/** Opens the store, and returns its blobs. Expects no damaged blob, and consistent pages and clusters in memory. */
function look(device: SparseMemoryDevice, { clusterBytes, dataClusters }: Seen, options: LoadOptions): SeenBlob[] {
  const found: SeenBlob[] = [];
  const store = runSync(Blobstore.load(device, { ...options, clusterBytes, openExternalSnapshot: openByName }));
  const channel = store.openChannel();
  let allocated = 0;
  for (const id of store.blobIds()) {
    const blob = runSync(store.openBlob(id));
    const bytes = new Uint8Array(blob.clusterCount * clusterBytes);
    channel.readSync(blob, bytes, 0, bytes.length / 4096);
    allocated += blob.map.allocatedCount;
    found.push({
      id: String(id),
      clusters: blob.clusterCount,
      thin: blob.isThin,
      readOnly: blob.dataRo,
      parent: blob.isClone ? String(blob.parentId) : null,
      external: textOf(store.externalSnapshotId(blob)),
      sha256: createHash('sha256').update(bytes).digest('hex'),
    });
    runSync(store.closeBlob(blob));
  }
  expect(store.freeClusterCount + allocated, 'clusters free, and of blobs').toBe(dataClusters);
  runSync(store.audit());
  channel.close();
  runSync(store.unload());
  return found;
}

describe.each(Object.entries(OPTIONS))('of the disks of a killed SPDK, opened %s,', (_, options) => {
  it('there are many', () => {
    expect(SEEN.length).toBe(readdirSync(FOLDER).filter((name) => name.endsWith('.img.gz')).length);
    expect(SEEN.length).toBeGreaterThan(40);
  });

  it.each(SEEN.map((seen) => [seen.image, seen] as const))('%s', (image, seen) => {
    const device = deviceOf(image);
    const report = runSync(checkStore(device));
    expect(report.findings.filter(({ severity }) => severity === 'damage')).toEqual([]);
    expect(look(device, seen, options)).toEqual(wantedOf(seen));
    expect(runSync(checkStore(device)).findings, 'once it was opened and closed').toEqual([]);
    expect(look(device, seen, options), 'opened again').toEqual(wantedOf(seen));
  });
});

/** Changes the super block so that the store counts as closed. */
function sayClosed(device: SparseMemoryDevice): void {
  const channel = device.openChannel();
  const block = new SuperBlock();
  void channel.read(block.bytes, 0, 0, 1);
  block.clean = 1;
  block.seal();
  void channel.write(block.bytes, 0, 0, 1);
}

/** The number of the first block of the metadata region. */
function regionOf(device: SparseMemoryDevice): number {
  const block = new SuperBlock();
  void device.openChannel().read(block.bytes, 0, 0, 1);
  return block.metadata.start;
}

/** The number of the block with a blob's second metadata page, also after that was cleared. */
function secondPageOf(device: SparseMemoryDevice, id: bigint): number {
  const root = new DataView(new ArrayBuffer(4096));
  void device.openChannel().read(new Uint8Array(root.buffer), 0, regionOf(device) + Number(id & 0xffff_ffffn), 1);
  return regionOf(device) + root.getUint32(4088, true);
}

function open(device: SparseMemoryDevice, options: LoadOptions = {}): () => void {
  return () => runSync(Blobstore.load(device, { onDamage: 'refuse', clusterBytes: 4096, ...options }));
}

describe('a blob that looks like a killed deletion or shrink', () => {
  it.each(['delete-chain-02', 'shrink-thick-01'])('is damage in a store that was closed: %s', (image) => {
    const device = deviceOf(image);
    sayClosed(device);
    expect(open(device, { forceRecover: true })).toThrow(expect.objectContaining({ code: 'EILSEQ' }));
    expect(runSync(checkStore(device)).outcome).toBe('left');
  });

  it('is damage when its page holds random bytes', () => {
    const device = deviceOf('delete-chain-02');
    void device
      .openChannel()
      .write(new Uint8Array(4096).fill(0x5a, 4000), 0, secondPageOf(device, BigInt(GROWN_ID)), 1);
    expect(open(device)).toThrow(expect.objectContaining({ code: 'EILSEQ' }));
    expect(runSync(checkStore(device)).outcome).toBe('left');
  });

  it('is damage when a clone reads its data', () => {
    const device = new SparseMemoryDevice({ sizeBytes: 2 ** 22 });
    const store = runSync(Blobstore.init(device, { clusterBytes: 4096, mdPageCount: 64 }));
    const xattrs = { long: new Uint8Array(3000).fill(1), too: new Uint8Array(3000) };
    const id = runSync(store.createBlob({ clusterCount: 4, thin: true }));
    const snapshot = runSync(store.createSnapshot(id, xattrs));
    runSync(store.abandon());
    void device.openChannel().writeZeroes(secondPageOf(device, snapshot), 1);
    expect(open(device)).toThrow(expect.objectContaining({ code: 'EILSEQ' }));
    expect(runSync(checkStore(device)).outcome).toBe('left');
    expect(runSync(checkStore(device, { repair: true })).outcome).toBe('left');
    expect(open(device, { onDamage: 'set-aside' })).not.toThrow();
  });
});
