/**
 * The insertion log. After a process was killed, the next one that opens the store takes over its first writes from the
 * log, if the cache that took these writes is still the same; and no blob ever gets a cluster of another one. Clusters
 * have the size of one page. What a killed process leaves is tested with a copy of the medium.
 */

import {
  type Blob,
  Blobstore,
  type BlockDevice,
  type Channel,
  crc32c,
  type LoadOptions,
  run,
  runSync,
} from '@blobyard/core';
import { asyncDevice, FaultyDevice, SparseMemoryDevice } from '@blobyard/io';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { requireSound } from '../check/require-sound.js';
import { copyMedium } from '../faults/copy-medium.js';

const CLUSTER = 4096;
const CLUSTERS = 1200;
const MD_PAGES = 64;
/** The offsets of the two pages of the log, in bytes: the log uses the places of the masks of pages and of blob ids. */
const LOG_AT = [1 * CLUSTER, 3 * CLUSTER];

/** A device whose cache has an owner. It can also be told to fail. */
class OwnedDevice extends FaultyDevice {
  readonly medium: SparseMemoryDevice;
  readonly #owner: Uint8Array;

  constructor(medium = new SparseMemoryDevice({ sizeBytes: CLUSTERS * CLUSTER }), owner = 1, asynchronous = false) {
    super(medium, { asynchronous });
    this.medium = medium;
    this.#owner = new Uint8Array(16).fill(owner);
  }

  override get cacheOwner(): Uint8Array {
    return this.#owner;
  }

  /** The device as the next process finds it if this one is killed now. `owner` 1: the cache is still the same. */
  killed(owner = 1): OwnedDevice {
    return new OwnedDevice(copyMedium(this.medium), owner);
  }
}

interface Yard {
  device: OwnedDevice;
  store: Blobstore;
  channel: Channel;
}

function newYard(device = new OwnedDevice()): Yard {
  const store = runSync(Blobstore.init(device, { clusterBytes: CLUSTER, mdPageCount: MD_PAGES }));
  return { device, store, channel: store.openChannel() };
}

function newBlob({ store }: Yard, clusterCount = 8, thin = true, useExtentTable = true): Blob {
  return runSync(store.openBlob(runSync(store.createBlob({ clusterCount, thin, useExtentTable }))));
}

function write({ channel }: Yard, blob: Blob, cluster: number, value: number): void {
  channel.writeSync(blob, new Uint8Array(CLUSTER).fill(value), cluster, 1);
}

/** Sets the longest xattr for which the first page of a blob's chain has room. */
function fillPage({ store }: Yard, blob: Blob): void {
  for (let bytes = 4000; ; bytes--) {
    store.setXattr(blob, 'x', new Uint8Array(bytes));
    runSync(store.syncBlob(blob));
    if (blob.chain.length === 1) return;
  }
}

/** The options with which the promise API opens stores, and those of the specification. */
const WAYS: readonly LoadOptions[] = [{ onDamage: 'refuse' }, {}];

/** Opens a store after a crash, twice, and expects it to be consistent. Returns the first byte of a blob's clusters. */
function valuesAfter(device: OwnedDevice, id: bigint, options: LoadOptions = { onDamage: 'refuse' }): number[] {
  const values = valuesIn(device, id, options);
  const again = valuesIn(device, id, options); // the log is not valid any more, and must not be needed
  expect(again).toEqual(values);
  return values;
}

function valuesIn(device: OwnedDevice, id: bigint, options: LoadOptions): number[] {
  const store = runSync(Blobstore.load(device, { clusterBytes: CLUSTER, ...options }));
  runSync(store.audit());
  runSync(requireSound(device, 'in the recovered store'));
  const blob = runSync(store.openBlob(id));
  const bytes = new Uint8Array(blob.clusterCount * CLUSTER);
  store.openChannel().readSync(blob, bytes, 0, blob.clusterCount);
  const values = Array.from({ length: blob.clusterCount }, (_, at) => bytes[at * CLUSTER]);
  expect(values.every((value, at) => bytes[at * CLUSTER + CLUSTER - 1] === value)).toBe(true);
  runSync(store.abandon());
  return values;
}

describe.each(WAYS)('after a kill, opened with %o, the log', (options) => {
  test.each([true, false])('restores first writes that were not synced (extent table: %s)', (useExtentTable) => {
    const yard = newYard();
    const blob = newBlob(yard, 8, true, useExtentTable);
    write(yard, blob, 3, 7);
    write(yard, blob, 4, 8);
    write(yard, blob, 0, 9);
    expect(valuesAfter(yard.device.killed(), blob.id, options)).toEqual([9, 0, 0, 7, 8, 0, 0, 0]);
  });

  it('is ignored if the cache is another one, and flushed writes are there', () => {
    const yard = newYard();
    const blob = newBlob(yard);
    write(yard, blob, 1, 5);
    runSync(yard.store.flushBlob(blob));
    write(yard, blob, 2, 6);
    expect(valuesAfter(yard.device.killed(2), blob.id, options)).toEqual([0, 5, 0, 0, 0, 0, 0, 0]);
  });

  it('restores the copy of a copy-on-write', () => {
    const yard = newYard();
    const blob = newBlob(yard);
    write(yard, blob, 2, 5);
    write(yard, blob, 3, 6);
    runSync(yard.store.createSnapshot(blob.id));
    write(yard, blob, 3, 7);
    expect(valuesAfter(yard.device.killed(), blob.id, options)).toEqual([0, 0, 5, 7, 0, 0, 0, 0]);
  });

  it('does not give a clone the clusters of its snapshot', () => {
    const yard = newYard();
    const blob = newBlob(yard);
    write(yard, blob, 2, 5);
    const snapshot = runSync(yard.store.createSnapshot(blob.id));
    const device = yard.device.killed();
    expect(valuesAfter(device, blob.id, options)).toEqual([0, 0, 5, 0, 0, 0, 0, 0]);
    const store = runSync(Blobstore.load(device, options));
    const clone = runSync(store.openBlob(blob.id));
    expect(clone.map.allocatedCount).toBe(0);
    store.openChannel().writeSync(clone, new Uint8Array(CLUSTER).fill(9), 2, 1);
    expect(valuesIn(device.killed(), snapshot, options)[2]).toBe(5);
  });

  it('gives a place of a blob the newest of the clusters that were inserted there', () => {
    const yard = newYard();
    const blob = newBlob(yard);
    write(yard, blob, 2, 5);
    write(yard, blob, 3, 6);
    runSync(yard.store.syncBlob(blob));
    yard.channel.unmapSync(blob, 2, 2);
    write(yard, blob, 3, 7);
    expect(valuesAfter(yard.device.killed(), blob.id, options).slice(2, 4)).toEqual([0, 7]);
  });

  it('gives the clusters of a deleted blob neither to it nor to the next blob with the same id', () => {
    const yard = newYard();
    const first = newBlob(yard);
    for (let cluster = 0; cluster < 8; cluster++) write(yard, first, cluster, 5);
    const { id } = first;
    runSync(yard.store.closeBlob(first));
    runSync(yard.store.deleteBlob(id));
    const second = newBlob(yard);
    expect(second.id).toBe(id);
    write(yard, second, 6, 6);
    expect(valuesAfter(yard.device.killed(), id, options)).toEqual([0, 0, 0, 0, 0, 0, 6, 0]);
  });

  it('has no effect after the store was recovered by SPDK, which overwrites it', () => {
    const yard = newYard();
    const blob = newBlob(yard);
    write(yard, blob, 2, 5);
    const device = yard.device.killed();
    const masks = device.openChannel();
    for (const at of LOG_AT) void masks.write(new Uint8Array(CLUSTER), 0, at / CLUSTER, 1);
    expect(valuesAfter(device, blob.id, options)[2]).toBe(0);
  });
});

describe('the log', () => {
  it('costs one write of a page for a first write, and no flush', () => {
    const yard = newYard();
    const blob = newBlob(yard);
    write(yard, blob, 0, 1); // also marks the store as dirty
    const before = { ...yard.device.counters };
    write(yard, blob, 1, 2);
    expect(yard.device.counters).toEqual({ ...before, write: before.write + 2 });
    write(yard, blob, 1, 3);
    expect(yard.device.counters).toEqual({ ...before, write: before.write + 3 });
  });

  it('syncs the blobs that are in it when it is full, and goes on', () => {
    const yard = newYard();
    const blobs = [newBlob(yard, 400), newBlob(yard, 400)];
    // The writes are neighbours neither in the blob nor on the device, so each takes a record of its own.
    for (let at = 0; at < 400; at++) for (const blob of blobs) write(yard, blob, (at * 7) % 400, 1 + (at % 200));
    const expected = Array.from({ length: 400 }, () => 0);
    for (let at = 0; at < 400; at++) expected[(at * 7) % 400] = 1 + (at % 200);
    for (const { id } of blobs) expect(valuesAfter(yard.device.killed(), id)).toEqual(expected);
  });

  it('is not needed for a blob that became longer: the first write there syncs its new size', () => {
    const yard = newYard();
    const blob = newBlob(yard, 2);
    runSync(yard.store.resizeBlob(blob, 6));
    write(yard, blob, 5, 4);
    expect(valuesAfter(yard.device.killed(), blob.id)).toEqual([0, 0, 0, 0, 0, 4]);
  });

  it('makes a write fail if it cannot be written; the write can be tried again, and nothing leaks', () => {
    const yard = newYard();
    const blob = newBlob(yard);
    write(yard, blob, 0, 1);
    yard.device.failAt(1, { kind: 'write' });
    expect(() => write(yard, blob, 3, 2)).toThrow(expect.objectContaining({ code: 'EIO' }));
    expect(valuesAfter(yard.device.killed(), blob.id)[0]).toBe(1);
    write(yard, blob, 3, 2);
    expect(valuesAfter(yard.device.killed(), blob.id)[3]).toBe(2);
    runSync(yard.store.syncBlob(blob));
    runSync(yard.store.audit());
  });

  it('keeps a cluster that a blob frees from being used again while its record cannot be removed', () => {
    const yard = newYard();
    const blob = newBlob(yard);
    write(yard, blob, 3, 2);
    runSync(yard.store.syncBlob(blob));
    yard.channel.unmapSync(blob, 3, 1);
    const free = yard.store.freeClusterCount;
    // The sync that frees the cluster writes the extent page, then the log.
    yard.device.failAt(2, { kind: 'write' });
    expect(() => runSync(yard.store.syncBlob(blob))).toThrow(expect.objectContaining({ code: 'EIO' }));
    expect(yard.store.freeClusterCount).toBe(free);
    runSync(yard.store.syncBlob(blob));
    expect(yard.store.freeClusterCount).toBe(free + 1);
  });

  it('stays valid if the metadata region has no room to persist its insertions, and the store opens', () => {
    const yard = newYard();
    const { store } = yard;
    const blob = newBlob(yard, 8, true, false);
    fillPage(yard, blob);
    for (let at = 0; at < 8; at += 2) write(yard, blob, at, 3); // four runs more, for which the page has no room
    expect(() => {
      for (;;) runSync(store.createBlob());
    }).toThrow(expect.objectContaining({ code: 'ENOMEM' }));
    const values = [3, 0, 3, 0, 3, 0, 3, 0];
    expect(valuesAfter(yard.device.killed(), blob.id)).toEqual(values);
    // Users can open the store, too, and make room.
    const device = yard.device.killed();
    const again = runSync(Blobstore.load(device, { clusterBytes: CLUSTER, onDamage: 'refuse' }));
    const [spare] = again.blobIds().slice(-1);
    runSync(again.deleteBlob(spare));
    runSync(again.unload());
    expect(valuesIn(device, blob.id, {})).toEqual(values);
  });

  it('works on an asynchronous device, with insertions that come together', async () => {
    const medium = new SparseMemoryDevice({ sizeBytes: CLUSTERS * CLUSTER });
    const owned = new OwnedDevice(medium);
    const device: BlockDevice = asyncDevice(owned);
    const store = await run(Blobstore.init(device, { clusterBytes: CLUSTER, mdPageCount: MD_PAGES }));
    const blob = await run(store.openBlob(await run(store.createBlob({ clusterCount: 8, thin: true }))));
    const channel = store.openChannel();
    const fill = (at: number) => channel.write(blob, new Uint8Array(CLUSTER).fill(at + 1), at, 1);
    await Promise.all([0, 1, 2, 3, 4, 5, 6].map(fill));
    expect(valuesAfter(owned.killed(), blob.id)).toEqual([1, 2, 3, 4, 5, 6, 7, 0]);
  });
});

describe('with random records in the log', () => {
  const record = fc.record({
    blobPage: fc.integer({ min: 0, max: 5 }),
    index: fc.integer({ min: 0, max: 700 }),
    cluster: fc.integer({ min: 0, max: CLUSTERS + 5 }),
    count: fc.oneof(fc.integer({ min: 0, max: 9 }), fc.constant(0xffff_ffff)),
    extentPage: fc.integer({ min: 0, max: MD_PAGES + 2 }),
    order: fc.nat(),
  });

  it('a store opens, or is refused as damaged, and no cluster has two owners', { timeout: 120_000 }, () => {
    const yard = newYard();
    const thin = newBlob(yard, 600);
    write(yard, thin, 1, 1);
    newBlob(yard, 6, false);
    newBlob(yard, 4, true, false);
    runSync(yard.store.flush());
    fc.assert(
      fc.property(fc.array(record, { maxLength: 12 }), (records) => {
        const device = yard.device.killed();
        putLogPage(device, records);
        let store: Blobstore;
        try {
          store = runSync(Blobstore.load(device, { clusterBytes: CLUSTER, onDamage: 'refuse' }));
        } catch (error) {
          expect(error).toMatchObject({ code: 'EILSEQ' });
          return;
        }
        runSync(store.audit());
      }),
      { numRuns: 150 },
    );
  });
});

/** Writes a valid page of the log, with records that need not be consistent. */
function putLogPage(device: OwnedDevice, records: readonly Record<string, number>[]): void {
  const page = new Uint8Array(CLUSTER);
  const view = new DataView(page.buffer);
  page.set(new TextEncoder().encode('BYINSLOG'));
  view.setUint32(8, 1, true);
  view.setUint32(12, records.length, true);
  page.set(device.cacheOwner, 16);
  const fields = ['blobPage', 'index', 'cluster', 'count', 'extentPage', 'order'];
  records.forEach((record, at) => {
    for (const [word, field] of fields.entries()) view.setUint32(32 + at * 24 + word * 4, record[field], true);
  });
  const end = 32 + records.length * 24;
  view.setUint32(end, crc32c(page, 0, end), true);
  void device.openChannel().write(page, 0, LOG_AT[0] / CLUSTER, 1);
}

describe('a kill while a snapshot is deleted, after a first write to its clone', () => {
  // A clone that has no extent page takes over that of the snapshot.
  test.each([
    [true, false],
    [true, true],
    [false, true],
  ])(
    'loses nothing, and frees no cluster of the clone (extent table %s, clusters of its own %s)',
    async (useExtentTable, isOwner) => {
      let written = 0;
      for (let k = 1, isPast = false; !isPast; k++) {
        const device = new OwnedDevice(undefined, 1, true);
        const store = await run(Blobstore.init(device, { clusterBytes: CLUSTER, mdPageCount: MD_PAGES }));
        const channel = store.openChannel();
        const put = (cluster: number, value: number) =>
          channel.write(blob, new Uint8Array(CLUSTER).fill(value), cluster, 1);
        const id = await run(store.createBlob({ clusterCount: 16, thin: true, useExtentTable }));
        const blob = await run(store.openBlob(id));
        for (const cluster of [0, 1, 2]) await put(cluster, 10 + cluster);
        const snapshot = await run(store.createSnapshot(id));
        if (isOwner) await put(1, 21);
        await run(store.flush());

        const gate = device.gate(undefined, k);
        const deleting = run(store.deleteBlob(snapshot));
        isPast = await Promise.race([gate.reached.then(() => false), deleting.then(() => true)]);
        let isWritten = false;
        const writing = put(9, 99).then(() => {
          isWritten = true;
        });
        for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setImmediate(resolve));
        if (isWritten) written++;
        const killed = device.killed();
        const wasWritten = isWritten;
        gate.release();
        await Promise.all([deleting, writing]);

        const next = runSync(Blobstore.load(killed));
        runSync(next.audit());
        next.verify();
        const yard = { device: killed, store: next, channel: next.openChannel() };
        // Whoever takes all free clusters must not get one of the clone's.
        const other = newBlob(yard, 200);
        for (let cluster = 0; cluster < 200; cluster++) write(yard, other, cluster, 7);
        const bytes = new Uint8Array(16 * CLUSTER);
        yard.channel.readSync(runSync(next.openBlob(id)), bytes, 0, 16);
        const [zero, one, two, nine] = [0, 1, 2, 9].map((cluster) => bytes[cluster * CLUSTER]);
        expect([k, zero, one, two]).toEqual([k, 10, isOwner ? 21 : 11, 12]);
        if (wasWritten) expect([k, nine]).toEqual([k, 99]);
        else expect([0, 99]).toContain(nine);
        runSync(next.audit());
      }
      expect(written).toBeGreaterThan(1); // before the clone is frozen, and after it
    },
  );
});
