/**
 * Leftovers of deleted blobs and copies of roots, in free pages: no opening, no repair and no crash after them may
 * bring them back as blobs. And a blob that is missing in the masks must not be deleted because of that.
 */

import { createHash } from 'node:crypto';
import {
  type Blob,
  type BlobId,
  Blobstore,
  checkStore,
  isRepairable,
  pageOfBlobId,
  runSync,
  SuperBlock,
} from '@blobyard/core';
import { describe, expect, it } from 'vitest';
import { sealPage } from '../peer/raw-page.js';
import { ImageDevice } from './image-device.js';
import { coverWithMark } from './marks.js';

const PAGE = 4096;
const CLUSTER = 2 * PAGE;
/** A page that the stores of these tests never use. */
const FREE_PAGE = 40;
const OPTIONS = { clusterBytes: CLUSTER } as const;

/** The hash of each blob's data. */
type Contents = Map<BlobId, string>;
type Range = 'pageMask' | 'clusterMask' | 'blobIdMask';

/** The bytes of a store, and changes of them. */
class Image {
  bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes.slice();
  }

  get block(): SuperBlock {
    return new SuperBlock(this.bytes);
  }

  page(number: number): Uint8Array {
    const at = (this.block.metadata.start + number) * PAGE;
    return this.bytes.subarray(at, at + PAGE);
  }

  /** Writes the content of another page into page `number` as the root of that page's blob, with a valid crc. */
  putRoot(content: Uint8Array, number: number, change: (view: DataView) => void = () => undefined): void {
    const page = this.page(number);
    page.set(content);
    const view = new DataView(page.buffer, page.byteOffset, PAGE);
    view.setUint32(0, number, true);
    change(view);
    sealPage(page);
  }

  coverWithMark(): void {
    const { metadata, clusterMask } = this.block;
    const place = { maskStart: clusterMask.start, mdStartPage: metadata.start, mdPageCount: metadata.count };
    coverWithMark(this.bytes, place, CLUSTER);
  }

  markIn(range: Range, bit: number, isSet: boolean): void {
    const at = this.block[range].start * PAGE + 5 + (bit >> 3);
    if (isSet) this.bytes[at] |= 1 << (bit & 7);
    else this.bytes[at] &= ~(1 << (bit & 7));
  }

  /** The blobs that a user reads in this store. Throws if it is refused. The bytes do not change. */
  contents(): Contents {
    return contentsOf(new ImageDevice(this.bytes.slice()));
  }

  repaired(writesMax = Infinity): { image: Image; outcome: string; writes: number } {
    const device = new ImageDevice(this.bytes.slice());
    device.writesMax = writesMax;
    const { outcome } = runSync(checkStore(device, { repair: true }));
    return { image: new Image(device.bytes), outcome, writes: device.writes };
  }

  findings(): string[] {
    return runSync(checkStore(new ImageDevice(this.bytes.slice()))).findings.map(({ kind }) => kind);
  }

  /** The image after a process has opened it, changed something, and was killed. */
  killed(): Image {
    const device = new ImageDevice(this.bytes.slice());
    const store = runSync(Blobstore.load(device, { ...OPTIONS, onDamage: 'refuse' }));
    const [id] = store.blobIds();
    const blob = runSync(store.openBlob(id));
    store.setXattr(blob, 'touched', new Uint8Array(1));
    runSync(store.syncBlob(blob));
    runSync(store.abandon());
    return new Image(device.bytes);
  }
}

function contentsOf(device: ImageDevice): Contents {
  const store = runSync(Blobstore.load(device, { ...OPTIONS, onDamage: 'refuse' }));
  expect(store.damaged).toEqual([]);
  const channel = store.openChannel();
  const read = (id: BlobId): [BlobId, string] => {
    const blob = runSync(store.openBlob(id));
    const bytes = Buffer.alloc(blob.clusterCount * CLUSTER);
    channel.readSync(blob, bytes, 0, bytes.length / PAGE);
    runSync(store.closeBlob(blob));
    return [id, createHash('sha256').update(bytes).digest('hex')];
  };
  const contents = new Map(store.blobIds().map(read));
  runSync(store.audit());
  runSync(store.abandon());
  return contents;
}

/** A store in the making. */
class Making {
  readonly device = new ImageDevice(new Uint8Array(256 * CLUSTER));
  readonly store = runSync(Blobstore.init(this.device, { ...OPTIONS, mdPageCount: 64 }));
  readonly #channel = this.store.openChannel();

  /** @param written - the number of clusters that are filled, from the first on */
  create(clusterCount: number, fill: number, useExtentTable = true, written = clusterCount): Blob {
    const blob = runSync(
      this.store.openBlob(runSync(this.store.createBlob({ clusterCount, thin: true, useExtentTable }))),
    );
    this.write(blob, fill, written);
    return blob;
  }

  /** Fills a blob's first clusters; by default all. */
  write(blob: Blob, fill: number, clusters = blob.clusterCount): void {
    const count = (clusters * CLUSTER) / PAGE;
    this.#channel.writeSync(blob, new Uint8Array(count * PAGE).fill(fill), 0, count);
    runSync(this.store.syncBlob(blob));
  }

  close(...blobs: Blob[]): void {
    for (const blob of blobs) runSync(this.store.closeBlob(blob));
  }

  get image(): Image {
    return new Image(this.device.bytes);
  }
}

interface Leftover {
  name: string;
  make: () => Image;
}

/** A closed store in which a blob was deleted, and the contents of that blob's pages before. */
function afterDeletion(
  useExtentTable: boolean,
  takesClusters: boolean,
): { image: Image; old: Map<number, Uint8Array> } {
  const making = new Making();
  const keeper = making.create(9, 1, useExtentTable, 2);
  const deleted = making.create(5, 2, useExtentTable);
  const pages = [...deleted.chain, ...deleted.extentPageNumbers()];
  const old = new Map(pages.map((page) => [page as number, making.image.page(page).slice()] as const));
  making.close(deleted);
  runSync(making.store.deleteBlob(deleted.id));
  if (takesClusters) making.write(keeper, 3);
  making.close(keeper);
  runSync(making.store.unload());
  return { image: making.image, old };
}

function revived(useExtentTable: boolean, takesClusters: boolean, isWhole: boolean): Image {
  const { image, old } = afterDeletion(useExtentTable, takesClusters);
  const [root] = old.keys();
  for (const [page, content] of old) if (isWhole || page === root) image.page(page).set(content);
  return image;
}

/** A closed store with a snapshot and two clones, and a copy of one of their roots in a free page. */
function copied(what: 'snapshot' | 'clone', change?: (view: DataView) => void): Image {
  const making = new Making();
  const blob = making.create(4, 5);
  const snapshot = runSync(making.store.createSnapshot(blob.id));
  making.close(runSync(making.store.openBlob(runSync(making.store.createClone(snapshot)))));
  making.close(blob);
  runSync(making.store.unload());
  const { image } = making;
  image.putRoot(image.page(what === 'snapshot' ? pageOfBlobId(snapshot) : blob.page), FREE_PAGE, change);
  return image;
}

const LEFTOVERS: readonly Leftover[] = [
  { name: 'a copy of a snapshot', make: () => copied('snapshot') },
  { name: 'a copy of a clone', make: () => copied('clone') },
  { name: 'a root with a broken chain', make: () => copied('clone', (view) => view.setUint32(4088, 5000, true)) },
  { name: 'a root with an invalid descriptor', make: () => copied('clone', (view) => view.setUint32(17, 5000, true)) },
  ...[true, false].flatMap((useExtentTable) =>
    [true, false].flatMap((takesClusters) =>
      [true, false].map((isWhole) => {
        const how = `${useExtentTable ? 'with a table' : 'with runs'}, clusters ${takesClusters ? 'taken' : 'free'}`;
        const name = `a deleted blob's ${isWhole ? 'pages' : 'root'}, ${how}`;
        return { name, make: () => revived(useExtentTable, takesClusters, isWhole) };
      }),
    ),
  ),
];

describe.each(LEFTOVERS)('in a closed store, $name', ({ make }) => {
  it('is found and repaired, and does not come back', () => {
    const image = make();
    const before = image.contents();
    const report = runSync(checkStore(new ImageDevice(image.bytes.slice())));
    expect(report.findings.map(({ kind, severity }) => [kind, severity])).toEqual([['stray-root', 'damage']]);
    expect(isRepairable(report)).toBe(true);
    const { image: repaired, outcome } = image.repaired();
    expect(outcome).toBe('repaired');
    expect(repaired.findings()).toEqual([]);
    expect(repaired.contents()).toEqual(before);
    expect([...repaired.killed().contents().keys()], 'and not after a crash either').toEqual([...before.keys()]);
    expect(Buffer.from(repaired.repaired().image.bytes).equals(repaired.bytes), 'a second repair writes nothing').toBe(
      true,
    );
  });

  it('does no harm when its repair is interrupted after any write', () => {
    const image = make();
    const before = image.contents();
    const { writes } = image.repaired();
    expect(writes).toBeGreaterThan(3);
    for (let cut = 0; cut < writes; cut++) {
      expect(image.repaired(cut).image.contents(), `after ${cut} of ${writes} writes`).toEqual(before);
    }
  });

  it('does not become a blob when the masks are wrong elsewhere, also not after a kill', () => {
    const image = make();
    const before = image.contents();
    image.markIn('clusterMask', 250, true);
    image.markIn('pageMask', 60, true);
    expect(image.contents()).toEqual(before);
    expect([...image.killed().contents().keys()]).toEqual([...before.keys()]);
    const { image: repaired, outcome } = image.repaired();
    expect(outcome).toBe('repaired');
    expect(repaired.contents()).toEqual(before);
  });

  it('is not listed as a blob beside a damaged one, and takes no other blob with it', () => {
    const image = make();
    const before = image.contents();
    const last = [...before.keys()].at(-1) ?? 0n;
    image.page(pageOfBlobId(last))[200] ^= 1;
    for (const bytes of [image.bytes, image.repaired().image.bytes]) {
      const store = runSync(Blobstore.load(new ImageDevice(bytes.slice()), { ...OPTIONS, onDamage: 'set-aside' }));
      expect(store.blobIds()).toEqual([...before.keys()]);
      expect(store.damaged.map(({ id }) => id)).toContain(last);
      runSync(store.abandon());
    }
  });
});

describe('no blob is lost when the masks lack', () => {
  /** A closed store with a snapshot, its clone, and another blob. */
  function closed(): { image: Image; snapshot: BlobId; other: number[]; contents: Contents } {
    const making = new Making();
    const blob = making.create(4, 5);
    const other = making.create(3, 6);
    const snapshot = runSync(making.store.createSnapshot(blob.id));
    const pages = [...other.chain, ...other.extentPageNumbers()];
    making.close(blob, other);
    runSync(making.store.unload());
    const { image } = making;
    return { image, snapshot, other: pages, contents: image.contents() };
  }

  it('the pages of a blob, but not its clusters', () => {
    const { image, other, contents } = closed();
    for (const page of other) image.markIn('pageMask', page, false);
    image.markIn('blobIdMask', other[0], false);
    expect(image.findings()).not.toContain('stray-root');
    expect(image.contents()).toEqual(contents);
    expect(image.repaired().image.contents()).toEqual(contents);
  });

  it('a snapshot that another blob needs, with all its pages and clusters', () => {
    const { image, snapshot, contents } = closed();
    const device = new ImageDevice(image.bytes.slice());
    const store = runSync(Blobstore.load(device, OPTIONS));
    const blob = runSync(store.openBlob(snapshot));
    const pages = [...blob.chain, ...blob.extentPageNumbers()];
    for (let at = 0; at < blob.clusterCount; at++) image.markIn('clusterMask', blob.clusterAt(at), false);
    for (const page of pages) image.markIn('pageMask', page, false);
    image.markIn('blobIdMask', blob.page, false);
    expect(image.findings()).not.toContain('stray-root');
    expect(image.contents()).toEqual(contents);
    expect(image.repaired().image.contents()).toEqual(contents);
  });

  it('everything, including the store’s own pages and clusters', () => {
    const { image, contents } = closed();
    const { block } = image;
    for (const { start } of [block.pageMask, block.clusterMask, block.blobIdMask]) {
      image.bytes.fill(0, start * PAGE + 5, (start + 1) * PAGE);
    }
    expect(image.findings()).not.toContain('stray-root');
    expect(image.contents()).toEqual(contents);
    expect(image.repaired().image.contents()).toEqual(contents);
  });
});

describe.each(['snapshot', 'deletion'] as const)(
  'a copy of the root of a snapshot that is half made or half deleted: %s',
  (what) => {
    /** The store of a process that was killed after some of the writes of a snapshot, or of a snapshot's deletion. */
    function killedAfter(writes: number): { making: Making; root: number; blob: Blob; writes: number } {
      const making = new Making();
      const blob = making.create(6, 8);
      const first = runSync(making.store.createSnapshot(blob.id));
      making.write(blob, 9);
      const second = what === 'deletion' ? runSync(making.store.createSnapshot(blob.id)) : undefined;
      const before = making.device.writes;
      making.device.writesMax = before + writes;
      const id = second ?? runSync(making.store.createSnapshot(blob.id));
      if (second !== undefined) runSync(making.store.deleteBlob(second));
      expect(first).not.toBe(id);
      runSync(making.store.abandon());
      return { making, root: pageOfBlobId(id), blob, writes: making.device.writes - before };
    }

    it('does not keep the store from being opened, and the blob is not lost', () => {
      let underWay = 0;
      const { writes } = killedAfter(Infinity);
      for (let cut = 1; cut < writes; cut++) {
        const { making, root } = killedAfter(cut);
        const { image } = making;
        const before = image.contents();
        if (!image.findings().includes('interrupted')) continue;
        underWay++;
        image.putRoot(image.page(root).slice(), FREE_PAGE);
        image.coverWithMark();
        const kinds = image.findings();
        expect(kinds).toEqual(['not-closed', 'interrupted', 'interrupted']);
        expect(image.contents(), `after write ${cut}`).toEqual(before);
        const { image: repaired, outcome } = image.repaired();
        expect(outcome).toBe('repaired');
        expect(repaired.findings()).toEqual([]);
        expect(repaired.contents()).toEqual(before);
      }
      expect(underWay).toBeGreaterThanOrEqual(2);
    });
  },
);
