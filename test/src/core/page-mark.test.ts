/**
 * The high-water mark of metadata pages: how much is read after a crash, the order of writes, and marks that are wrong.
 */

import { type Blob, Blobstore, checkStore, runSync, SuperBlock } from '@blobyard/core';
import { FaultyDevice, SparseMemoryDevice } from '@blobyard/io';
import { describe, expect, test } from 'vitest';
import { decodeMarks, encodeMarks } from '../../../packages/core/dist/format/marks-page.js';
import { encodeMask, MASK } from '../../../packages/core/dist/format/mask.js';
import { CountingDevice, TracedDevice } from './page-mark-devices.js';

const GiB = 2 ** 30;
const TiB = 2 ** 40;
const PAGE = 4096;
/** The number of pages by which the mark is raised, in a region of at least eight times as many. */
const STEP = 256;
/** An upper limit for other blocks: the super block, the masks' first pages and the insertion log. */
const BESIDES = 100;

type Options = NonNullable<Parameters<typeof Blobstore.load>[1]>;

function newStore(device: SparseMemoryDevice, options: Parameters<typeof Blobstore.init>[1] = {}): Blobstore {
  return runSync(Blobstore.init(device, options));
}

/** Makes blobs with a cluster each. The first byte of a blob is its number. */
function makeBlobs(store: Blobstore, count: number, from = 0): void {
  const channel = store.openChannel();
  for (let number = from; number < from + count; number++) {
    const blob = runSync(store.openBlob(runSync(store.createBlob({ clusterCount: 1 }))));
    channel.writeSync(blob, new Uint8Array(PAGE).fill(number % 251), 0, PAGE / store.geometry.ioUnitBytes);
    runSync(store.closeBlob(blob));
  }
  runSync(store.closeChannel(channel));
}

function load(device: SparseMemoryDevice | CountingDevice, options: Options = { onDamage: 'refuse' }): Blobstore {
  return runSync(Blobstore.load(device, options));
}

/** The number of blocks that a load reads after a crash. The store is then left as after another crash. */
function readsOfLoad(medium: SparseMemoryDevice, options?: Options): number {
  const device = new CountingDevice(medium);
  runSync(load(device, options).abandon());
  return device.blocksRead;
}

function readsOfCheck(medium: SparseMemoryDevice, full = false): number {
  const device = new CountingDevice(medium);
  expect(runSync(checkStore(device, { full })).outcome).toBe('clean');
  return device.blocksRead;
}

function bytesAt(medium: SparseMemoryDevice, page: number): Uint8Array {
  const bytes = new Uint8Array(PAGE);
  const blocks = PAGE / medium.blockLengthBytes;
  void medium.openChannel().read(bytes, 0, page * blocks, blocks); // the device is synchronous
  return bytes;
}

function setBytesAt(medium: SparseMemoryDevice, page: number, bytes: Uint8Array): void {
  const blocks = PAGE / medium.blockLengthBytes;
  void medium.openChannel().write(bytes, 0, page * blocks, blocks);
}

function layoutOf(medium: SparseMemoryDevice): {
  block: SuperBlock;
  region: { mdStartPage: number; mdPageCount: number };
} {
  const block = new SuperBlock(bytesAt(medium, 0));
  return { block, region: { mdStartPage: block.metadata.start, mdPageCount: block.metadata.count } };
}

function expectBlobs(store: Blobstore, count: number): void {
  const ids = store.blobIds();
  expect(ids.length).toBe(count);
  const channel = store.openChannel();
  const buffer = new Uint8Array(PAGE);
  ids.forEach((id, number) => {
    const blob = runSync(store.openBlob(id));
    channel.readSync(blob, buffer, 0, PAGE / store.geometry.ioUnitBytes);
    expect(buffer[0]).toBe(number % 251);
    runSync(store.closeBlob(blob));
  });
  store.verify();
}

describe('the number of blocks read after a crash depends on the pages in use:', () => {
  const KILLED = {
    'with one blob': (store: Blobstore) => makeBlobs(store, 1),
    'with 400 blobs': (store: Blobstore) => makeBlobs(store, 400),
    'just made': () => undefined,
  };
  test.each(Object.entries(KILLED))('for a store %s, on a device of any size', (name, prepare) => {
    const used = name.includes('400') ? 400 : 1;
    const reads = [GiB, TiB, 64 * TiB].map((sizeBytes) => {
      const medium = new SparseMemoryDevice({ sizeBytes });
      const store = newStore(medium);
      prepare(store);
      runSync(store.abandon());
      const checked = readsOfCheck(medium);
      const first = readsOfLoad(medium);
      expect(readsOfLoad(medium), 'and after another crash').toBeLessThanOrEqual(first + STEP);
      return Math.max(first, checked);
    });
    for (const blocks of reads) expect(blocks).toBeLessThan(used * 4 + 2 * STEP + BESIDES);
  });

  test.each<[string, (store: Blobstore, device: SparseMemoryDevice) => void]>([
    ['a deletion', (store) => runSync(store.deleteBlob(store.blobIds()[0]))],
    ['a creation', (store) => void runSync(store.createBlob({ clusterCount: 1 }))],
    [
      'growing',
      (store, device) => {
        device.resize((80 * GiB) / device.blockLengthBytes);
        runSync(store.growLive());
      },
    ],
  ])('also if the only change since the store was opened is %s', (_, change) => {
    const medium = new SparseMemoryDevice({ sizeBytes: 64 * GiB });
    const store = newStore(medium);
    makeBlobs(store, 3);
    runSync(store.unload());
    const again = load(medium);
    change(again, medium);
    runSync(again.abandon());
    expect(readsOfCheck(medium)).toBeLessThan(2 * STEP + BESIDES);
    expect(readsOfLoad(medium)).toBeLessThan(2 * STEP + BESIDES);
  });

  test('unless all pages are asked for', () => {
    const medium = new SparseMemoryDevice({ sizeBytes: 64 * GiB });
    const store = newStore(medium);
    makeBlobs(store, 1);
    runSync(store.abandon());
    const { mdPageCount } = layoutOf(medium).region;
    expect(readsOfCheck(medium, true)).toBeGreaterThan(mdPageCount);
    expect(readsOfLoad(medium, { onDamage: 'refuse', allPages: true })).toBeGreaterThan(mdPageCount);
  });

  test('a check of a closed store reads the pages that its mask marks as used, and the first pages', () => {
    const medium = new SparseMemoryDevice({ sizeBytes: 64 * GiB });
    const store = newStore(medium);
    makeBlobs(store, 1);
    runSync(store.unload());
    expect(readsOfCheck(medium)).toBeLessThan(1024 + STEP);
    expect(readsOfCheck(medium, true)).toBeGreaterThan(layoutOf(medium).region.mdPageCount);
  });

  test('recovery lowers the mark when fewer pages are in use', () => {
    const medium = new SparseMemoryDevice({ sizeBytes: 64 * GiB });
    const store = newStore(medium);
    makeBlobs(store, 2000);
    for (const id of store.blobIds()) runSync(store.deleteBlob(id));
    runSync(store.abandon());
    expect(readsOfLoad(medium)).toBeGreaterThan(2000);
    expect(readsOfLoad(medium)).toBeLessThan(STEP + BESIDES);
  });
});

describe.each(['power-loss', 'process-crash'] as const)('no page is written above the mark: %s', (durability) => {
  /** Writes chains of several pages, replaces extent pages and makes snapshots, in a region of 400 pages. */
  function work(store: Blobstore, seed: number): void {
    const blobs: Blob[] = [];
    for (let round = 0; round < 30; round++) {
      const thin = (round + seed) % 2 === 0;
      const blob = runSync(store.openBlob(runSync(store.createBlob({ clusterCount: 3 + round, thin }))));
      blobs.push(blob);
      for (let at = 0; at < round % 4; at++) blob.setXattr(`x${at}`, new Uint8Array(3000).fill(round), false);
      runSync(store.syncBlob(blob));
      if (thin) {
        const channel = store.openChannel();
        channel.writeSync(blob, new Uint8Array(PAGE).fill(round), 0, 1);
        runSync(store.closeChannel(channel));
      }
      runSync(store.resizeBlob(blob, 2 + ((round * 7) % 20)));
      runSync(store.syncBlob(blob));
      if (round % 5 === 0) runSync(store.createSnapshot(blob.id));
    }
    for (const blob of blobs) runSync(store.closeBlob(blob));
  }

  test('after creating, opening, and recovering the store', () => {
    const medium = new SparseMemoryDevice({ sizeBytes: 2 ** 24, blockLengthBytes: PAGE });
    const device = new TracedDevice(medium, durability === 'power-loss');
    let store = runSync(Blobstore.init(device, { clusterBytes: PAGE, mdPageCount: 400, durability }));
    work(store, 0);
    runSync(store.unload());
    store = runSync(Blobstore.load(device, { clusterBytes: PAGE, durability, onDamage: 'refuse' }));
    work(store, 1);
    runSync(store.abandon());
    store = runSync(Blobstore.load(device, { clusterBytes: PAGE, durability, onDamage: 'refuse' }));
    work(store, 0);
    runSync(store.abandon());
    store = runSync(Blobstore.load(device, { clusterBytes: PAGE, durability }));
    work(store, 1);
    expect(device.early).toEqual([]);
    expect(device.raised, 'the mark was raised').toBeGreaterThan(4);
  });
});

describe('a mark that cannot be written', () => {
  test('makes the creation of a blob fail, which allocates nothing', () => {
    const device = new FaultyDevice(new SparseMemoryDevice({ sizeBytes: 2 ** 24 }));
    const store = runSync(Blobstore.init(device, { clusterBytes: PAGE, mdPageCount: 64 }));
    for (let number = 0; number < 8; number++) runSync(store.createBlob({ clusterCount: 1 }));
    const free = store.freeClusterCount;
    for (const kind of ['write', 'flush'] as const) {
      device.failAt(1, { kind, code: 'EIO' });
      expect(() => runSync(store.createBlob({ clusterCount: 1 }))).toThrow(expect.objectContaining({ code: 'EIO' }));
      expect(store.freeClusterCount).toBe(free);
    }
    runSync(store.createBlob({ clusterCount: 1 }));
    store.verify();
    runSync(store.abandon());
    expect(load(device as never).blobIds().length).toBe(9);
  });
});

describe('recovery reads all pages if the mark cannot be trusted:', () => {
  const BLOBS = 300;
  const CLUSTERS = 4096;

  function killed(): SparseMemoryDevice {
    const medium = new SparseMemoryDevice({ sizeBytes: 4 * GiB });
    const store = newStore(medium);
    makeBlobs(store, BLOBS);
    runSync(store.abandon());
    return medium;
  }

  function expectAllRead(medium: SparseMemoryDevice): void {
    const { mdPageCount } = layoutOf(medium).region;
    expect(runSync(checkStore(medium)).summary?.blobCount).toBe(BLOBS);
    const device = new CountingDevice(medium);
    expectBlobs(load(device), BLOBS);
    expect(device.blocksRead).toBeGreaterThanOrEqual(mdPageCount);
  }

  const changeMarks = (medium: SparseMemoryDevice, change: (page: Uint8Array) => Uint8Array | undefined) => {
    const { start } = layoutOf(medium).block.clusterMask;
    const page = bytesAt(medium, start);
    setBytesAt(medium, start, change(page) ?? page);
  };

  test.each([0, 8, 16, 20, 24, 28, 32])('when the byte at %i is damaged', (at) => {
    const medium = killed();
    changeMarks(medium, (page) => {
      page[at] ^= 0x10;
      return page;
    });
    expectAllRead(medium);
  });

  test('when its page has zeroes, a mask, or the mark of an older version', () => {
    for (const page of [
      new Uint8Array(PAGE),
      encodeMask(MASK.USED_CLUSTERS, CLUSTERS, 1, (bits) => bits.fill(0xff, 0, 1024)),
      encodeMask(MASK.HIGH_WATER, CLUSTERS, 1, (bits) => bits.fill(0xff, 0, 1024)),
    ]) {
      const medium = killed();
      changeMarks(medium, () => page);
      expectAllRead(medium);
    }
  });

  test('when it belongs to another store', () => {
    const medium = killed();
    const { region } = layoutOf(medium);
    const other = { ...region, mdPageCount: region.mdPageCount - 1 };
    changeMarks(medium, () => encodeMarks({ clusters: 1000, mdPages: 300 }, other, CLUSTERS));
    expectAllRead(medium);
  });

  test('when a page below it names one above it', () => {
    const medium = new SparseMemoryDevice({ sizeBytes: 4 * GiB });
    const store = newStore(medium);
    makeBlobs(store, BLOBS - 1);
    const blob = runSync(store.openBlob(runSync(store.createBlob({ clusterCount: 1 }))));
    const channel = store.openChannel();
    channel.writeSync(blob, new Uint8Array(PAGE).fill((BLOBS - 1) % 251), 0, PAGE / store.geometry.ioUnitBytes);
    runSync(store.closeBlob(blob));
    const first = runSync(store.openBlob(store.blobIds()[0]));
    for (let at = 0; at < 3; at++) first.setXattr(`x${at}`, new Uint8Array(3000), false);
    runSync(store.syncBlob(first)); // the second page of its chain is at the end of the pages in use
    runSync(store.abandon());
    const { region } = layoutOf(medium);
    changeMarks(medium, (page) => {
      const marks = decodeMarks(page, region, CLUSTERS);
      return marks && encodeMarks({ ...marks, mdPages: 300 }, region, CLUSTERS);
    });
    expectAllRead(medium);
  });

  test('when a killed store was recovered as SPDK does it, changed, and killed again', () => {
    const medium = killed();
    const asSpdk = { durability: 'process-crash', highWater: false } as const;
    const spdk = load(medium, asSpdk);
    makeBlobs(spdk, 400, BLOBS);
    runSync(spdk.abandon());
    const marked = layoutOf(medium);
    expect(decodeMarks(bytesAt(medium, marked.block.clusterMask.start), marked.region, CLUSTERS)).toBeUndefined();
    expect(runSync(checkStore(medium)).summary?.blobCount).toBe(BLOBS + 400);
    expectBlobs(load(medium), BLOBS + 400);
    expect(readsOfLoad(medium), 'the marks are there again').toBeLessThan(4 * (BLOBS + 400) + 3 * STEP + BESIDES);
  });
});

describe('the page of the marks', () => {
  const region = { mdStartPage: 7, mdPageCount: 5000 };
  test('is decoded as it was encoded', () => {
    const marks = { clusters: 1234, mdPages: 5000 };
    expect(decodeMarks(encodeMarks(marks, region, 4000), region, 4000)).toEqual(marks);
  });
  test('is decoded, too, when growing the unloaded store has changed its length', () => {
    const page = encodeMarks({ clusters: 1, mdPages: 2 }, region, 4000);
    new DataView(page.buffer).setUint32(1, 8000, true);
    expect(decodeMarks(page, region, 8000)).toEqual({ clusters: 1, mdPages: 2 });
  });
  test('is not accepted if a mark is past the end of the store', () => {
    expect(decodeMarks(encodeMarks({ clusters: 4001, mdPages: 2 }, region, 4000), region, 4000)).toBeUndefined();
    expect(decodeMarks(encodeMarks({ clusters: 1, mdPages: 5001 }, region, 4000), region, 4000)).toBeUndefined();
  });
});
