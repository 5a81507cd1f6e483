/** Super blocks with a valid crc and regions that overlap: they are refused, and nothing is written. */

import { Blobstore, type BlobstoreError, checkStore, runSync, SuperBlock } from '@blobyard/core';
import { describe, expect, it } from 'vitest';
import { ImageDevice } from './image-device.js';

const PAGE = 4096;
const CLUSTER = 4 * PAGE;
const LENGTH_PAGES = 400;

/** A store with data right after its metadata, whose cluster mask has room to grow. */
function makeImage(isClean: boolean): Uint8Array {
  const device = new ImageDevice(new Uint8Array(LENGTH_PAGES * PAGE));
  const store = runSync(Blobstore.init(device, { clusterBytes: CLUSTER, mdPageCount: 20 }));
  const blob = runSync(store.openBlob(runSync(store.createBlob({ clusterCount: 60 }))));
  const units = store.ioUnitCount(blob);
  store.openChannel().writeSync(blob, new Uint8Array(units * PAGE).fill(7), 0, units);
  runSync(store.closeBlob(blob));
  runSync(isClean ? store.unload() : store.abandon());
  return device.bytes;
}

type PageRange = SuperBlock['metadata'];
type Layout = Partial<
  Pick<SuperBlock, 'pageMask' | 'clusterMask' | 'blobIdMask' | 'metadata' | 'sizeBytes' | 'clusterBytes'>
>;
/** The fields that replace those of the super block. */
type Change = (block: SuperBlock) => Layout;

function edited(image: Uint8Array, change: Change, isInUse = false): Uint8Array {
  const bytes = image.slice();
  const block = new SuperBlock(bytes);
  Object.assign(block, change(block));
  if (isInUse) block.clean = 0;
  block.seal();
  return bytes;
}

const MASKS = ['pageMask', 'clusterMask', 'blobIdMask'] as const;
/** Metadata takes pages 0 to 23, which are the first six clusters. */
const DATA_PAGE = 24;

const MASK_PLACES: readonly (readonly [string, (mask: PageRange, block: SuperBlock) => PageRange])[] = [
  ['in data', () => ({ start: DATA_PAGE, count: 1 })],
  ['in the last page of the device', () => ({ start: LENGTH_PAGES - 1, count: 1 })],
  ['past the device', () => ({ start: LENGTH_PAGES, count: 1 })],
  ['at the end of all numbers', () => ({ start: 0xffff_ffff, count: 0xffff_ffff })],
  ['of all pages that there are', () => ({ start: 1, count: 0xffff_ffff })],
  ['on the super block', () => ({ start: 0, count: 1 })],
  ['on the metadata', (_, { metadata }) => ({ start: metadata.start + 3, count: 1 })],
  ['from before the metadata into it', ({ start }) => ({ start, count: 8 })],
  ['on another mask', (mask, { pageMask, blobIdMask }) => (pageMask.start === mask.start ? blobIdMask : pageMask)],
];

const CASES: readonly (readonly [string, Change])[] = [
  ...MASKS.flatMap((mask) =>
    MASK_PLACES.map(([where, place]) => {
      return [`${mask} ${where}`, (block: SuperBlock) => ({ [mask]: place(block[mask], block) })] as const;
    }),
  ),
  ['mask of clusters on that of blob ids', ({ blobIdMask }) => ({ clusterMask: blobIdMask })],
  ['metadata on the super block', () => ({ metadata: { start: 0, count: 4 } })],
  ['metadata on the masks', () => ({ metadata: { start: 2, count: 20 } })],
  ['metadata past the device', ({ metadata }) => ({ metadata: { ...metadata, count: LENGTH_PAGES } })],
  ['metadata of all pages that there are', ({ metadata }) => ({ metadata: { ...metadata, count: 0xffff_ffff } })],
  ['a store of no clusters', () => ({ sizeBytes: PAGE })],
  ['clusters that are larger than the store', () => ({ clusterBytes: PAGE * 0xf_ffff })],
];

const WAYS: Record<string, (device: ImageDevice) => unknown> = {
  'as it is': (device) => runSync(Blobstore.load(device, { clusterBytes: PAGE })),
  refusing: (device) => runSync(Blobstore.load(device, { clusterBytes: PAGE, onDamage: 'refuse' })),
  'setting aside': (device) => runSync(Blobstore.load(device, { clusterBytes: PAGE, onDamage: 'set-aside' })),
  recovering: (device) =>
    runSync(Blobstore.load(device, { clusterBytes: PAGE, onDamage: 'refuse', forceRecover: true })),
  growing: (device) => runSync(Blobstore.grow(device, { clusterBytes: PAGE })),
};

describe.each([true, false])('regions that overlap are refused, in a store that was closed: %s', (isClean) => {
  const image = makeImage(isClean);

  it.each(CASES)('%s', (_, change) => {
    const bytes = edited(image, change);
    const larger = new Uint8Array(2 * bytes.length);
    larger.set(bytes);
    for (const [how, open] of Object.entries(WAYS)) {
      const before = how === 'growing' ? larger : bytes;
      const device = new ImageDevice(before.slice());
      expect(
        codeOf(() => open(device)),
        how,
      ).toBe('EILSEQ');
      expect(Buffer.from(device.bytes).equals(before), `written to by ${how}`).toBe(true);
    }
    for (const repair of [false, true]) {
      const device = new ImageDevice(bytes.slice());
      const { outcome, findings } = runSync(checkStore(device, { repair }));
      expect([outcome, ...findings.map(({ kind }) => kind)]).toEqual(['left', 'super-block']);
      expect(Buffer.from(device.bytes).equals(bytes)).toBe(true);
    }
  });

  it('but not masks in another order, or behind the metadata, which do not overlap', () => {
    const isInUse = true;
    const swap: Change = ({ pageMask, blobIdMask }) => ({ pageMask: blobIdMask, blobIdMask: pageMask });
    expect(codeOf(() => WAYS.refusing(new ImageDevice(edited(image, swap, isInUse))))).toBe('opened');
    const putBehind: Change = ({ metadata: { start, count } }) => ({
      pageMask: { start: start + count - 1, count: 1 },
      metadata: { start, count: count - 1 },
    });
    const shorter = edited(image, putBehind, isInUse);
    expect(codeOf(() => WAYS.refusing(new ImageDevice(shorter)))).toBe('opened');
  });
});

function codeOf(open: () => unknown): string {
  try {
    open();
    return 'opened';
  } catch (error) {
    return (error as BlobstoreError).code;
  }
}
