/**
 * Recovery also completes the metadata of a blob on disk when the blob cannot be opened because its external snapshot
 * is missing: a resize that was under way, and the first writes in the insertion log. After the store was closed it
 * would be too late, since the information is gone then.
 */

import { type Blob, Blobstore, type LoadOptions, runSync } from '@blobyard/core';
import { FaultyDevice, SparseMemoryDevice } from '@blobyard/io';
import { describe, expect, test } from 'vitest';
import { requireSound } from '../check/require-sound.js';
import { sealPage } from '../peer/raw-page.js';

const CLUSTER = 4096;
const LONG = 8;
const SHORT = 6;
/** The offsets in an extent page, in bytes, of the length of its descriptor and of its first cluster number. */
const LENGTH_AT = 17;
const NUMBERS_AT = 25;

/** A device whose cache has an owner, so that the store keeps an insertion log. */
class OwnedDevice extends FaultyDevice {
  constructor() {
    super(new SparseMemoryDevice({ sizeBytes: 256 * CLUSTER }));
  }

  override get cacheOwner(): Uint8Array {
    return new Uint8Array(16).fill(1);
  }
}

const openExternalSnapshot = () => SparseMemoryDevice.fromBytes(new Uint8Array(LONG * CLUSTER).fill(0xee));

/** An open store, and in it a thin blob that is a clone of an external snapshot, or of a snapshot that is one. */
function makeClone(isBehindSnapshot: boolean, useExtentTable: boolean) {
  const disk = new OwnedDevice();
  const store = runSync(Blobstore.init(disk, { clusterBytes: CLUSTER, mdPageCount: 32, openExternalSnapshot }));
  const externalSnapshotId = Uint8Array.of(1);
  const spec = { clusterCount: LONG, thin: true, useExtentTable, externalSnapshotId };
  const blob = runSync(store.openBlob(runSync(store.createBlob(spec))));
  if (isBehindSnapshot) runSync(store.createSnapshot(blob.id));
  const channel = store.openChannel();
  const write = (cluster: number, value: number) => {
    channel.writeSync(blob, new Uint8Array(CLUSTER).fill(value), cluster, 1);
  };
  return { disk, store, blob, write };
}

function load(disk: OwnedDevice, options: LoadOptions): Blobstore {
  return runSync(Blobstore.load(disk, { clusterBytes: CLUSTER, ...options }));
}

/** The first byte of each of a blob's clusters, in a store that is opened with the external snapshot. */
function valuesOf(disk: OwnedDevice, { id }: Blob, options: LoadOptions): number[] {
  const store = load(disk, { ...options, openExternalSnapshot });
  const blob = runSync(store.openBlob(id));
  const bytes = new Uint8Array(blob.clusterCount * CLUSTER);
  store.openChannel().readSync(blob, bytes, 0, blob.clusterCount);
  runSync(store.audit());
  runSync(store.abandon());
  return Array.from({ length: blob.clusterCount }, (_, at) => bytes[at * CLUSTER]);
}

/** Opens the store without the external snapshot, and closes it. */
function openAndClose(disk: OwnedDevice, { id }: Blob, options: LoadOptions): void {
  const store = load(disk, options);
  expect(store.damaged.map((each) => each.error.code)).toContain('ENOTSUP');
  expect(() => runSync(store.openBlob(id))).toThrow(expect.objectContaining({ code: 'ENOTSUP' }));
  runSync(store.unload());
  runSync(requireSound(disk, 'in the closed store'));
}

/** Shortens the extent page of a blob on disk, as a resize does before it writes the root. */
function shorten(disk: OwnedDevice, store: Blobstore, blob: Blob): void {
  const lba = store.geometry.mdPageToLba(blob.map.extentPages.get(0) as never);
  const page = new Uint8Array(CLUSTER);
  void disk.openChannel().read(page, 0, lba, 1);
  new DataView(page.buffer).setUint32(LENGTH_AT, 4 + 4 * SHORT, true);
  page.fill(0, NUMBERS_AT + 4 * SHORT, NUMBERS_AT + 4 * LONG);
  sealPage(page);
  void disk.openChannel().write(page, 0, lba, 1);
}

const WAYS: readonly LoadOptions[] = [{ onDamage: 'refuse' }, { onDamage: 'set-aside' }, {}];

describe.each(WAYS)('opened with %o, and without the external snapshot', (options) => {
  test.each([false, true])('a resize under way is completed (behind a snapshot: %s)', (isBehindSnapshot) => {
    const { disk, store, blob, write } = makeClone(isBehindSnapshot, true);
    for (let cluster = 1; cluster < LONG; cluster++) write(cluster, cluster);
    runSync(store.syncBlob(blob));
    shorten(disk, store, blob);
    runSync(store.abandon());
    openAndClose(disk, blob, options);
    expect(valuesOf(disk, blob, options)).toEqual([0xee, 1, 2, 3, 4, 5]);
  });

  const kinds = [false, true].flatMap((behind) => [false, true].map((table) => [behind, table] as const));
  test.each(kinds)('first writes are kept (behind a snapshot: %s, extent table: %s)', (behind, table) => {
    const { disk, store, blob, write } = makeClone(behind, table);
    write(2, 7);
    write(3, 8);
    runSync(store.abandon());
    openAndClose(disk, blob, options);
    expect(valuesOf(disk, blob, options)).toEqual([0xee, 0xee, 7, 8, 0xee, 0xee, 0xee, 0xee]);
  });

  test('the store does not open if the metadata region has no room for that, and nothing is lost', () => {
    const { disk, store, blob, write } = makeClone(false, true);
    for (const name of ['a', 'b']) store.setXattr(blob, name, new Uint8Array(3000));
    runSync(store.syncBlob(blob));
    expect(blob.chain.length).toBe(2);
    write(2, 7);
    const fill = () => {
      for (;;) runSync(store.createBlob({ clusterCount: 0 }));
    };
    expect(fill).toThrow(expect.objectContaining({ code: 'ENOMEM' }));
    runSync(store.abandon());
    expect(() => load(disk, options)).toThrow(expect.objectContaining({ code: 'ENOSPC' }));
    expect(valuesOf(disk, blob, options)).toEqual([0xee, 0xee, 7, 0xee, 0xee, 0xee, 0xee, 0xee]);
  });
});
