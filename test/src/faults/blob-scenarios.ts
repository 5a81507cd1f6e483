/** Scenarios with operations on one blob: creating, resizing, syncing, writing, unmapping, deleting. */

import { pageOfBlobId, type Steps, SuperBlock } from '@blobyard/core';
import { decodeMarks } from '../../../packages/core/dist/format/marks-page.js';
import { resized } from './oracle.js';
import { type Scenario, scenario } from './scenario.js';
import { hexOf, type NewBlob, type Yard } from './yard.js';

const PAGE_BYTES = 4096;

/** Xattrs that need several metadata pages. */
export function longXattrs(pages: number, fill: number): Record<string, Uint8Array> {
  const entries = Array.from({ length: pages }, (_, index) => [
    `long${index}`,
    new Uint8Array(3000).fill(fill + index),
  ]);
  return Object.fromEntries(entries);
}

/** Makes a thick and a thin blob that no operation touches. */
export function* bystanders(yard: Yard): Steps<void> {
  yield* yard.create('thick bystander', { clusters: 3, xattrs: { name: new Uint8Array([1, 2, 3]) } });
  yield* yard.create('thin bystander', { clusters: 5, isThin: true, xattrs: longXattrs(2, 90) });
  for (const name of ['thick bystander', 'thin bystander']) {
    yield* yard.open(name);
    yield* yard.write(name, 1, 2, name.length);
  }
  yield* yard.close('thin bystander');
}

function creation(
  name: string,
  made: NewBlob,
  sizes?: Scenario['sizes'],
  prepare: Scenario['prepare'] = bystanders,
): Scenario {
  return scenario({
    name: `create ${name}`,
    sizes,
    prepare,
    run: (yard) => yard.createOnly(made),
    apply: (oracle, yard, id) => yard.created(id ?? 0n, made, oracle),
  });
}

export const LARGE = { clusterCount: 1250, clusterBytes: 4096, blockLengthBytes: 4096, mdPageCount: 64 } as const;

export const CREATE_SCENARIOS: readonly Scenario[] = [
  creation('thin', { clusters: 6, isThin: true }),
  creation('thick', { clusters: 6 }),
  creation('empty', { clusters: 0 }),
  creation('with a chain of several pages', { clusters: 4, xattrs: longXattrs(4, 1) }),
  creation('a clone of an external snapshot', { clusters: 4, externalSeed: 77 }),
  creation('a thick blob with several extent pages', { clusters: 1030, xattrs: longXattrs(2, 1) }, LARGE),
  creation('above the mark of pages', { clusters: 1, isThin: true }, undefined, upToMark),
  creation('with a chain above the mark of pages', { clusters: 4, xattrs: longXattrs(3, 1) }, undefined, upToMark),
  creation('in an opened store', { clusters: 4, xattrs: longXattrs(3, 1) }, undefined, reopened),
];

/** Makes blobs that take all metadata pages below the high-water mark. */
function* upToMark(yard: Yard): Steps<void> {
  yield* bystanders(yard);
  for (let number = 0, page = 0; page + 1 < mdPageMarkOf(yard); number++) {
    yield* yard.create(`bystander ${number}`, { clusters: 1, isThin: true });
    page = pageOfBlobId(yard.id(`bystander ${number}`));
  }
}

/** The high-water mark of metadata pages on the medium. */
function mdPageMarkOf({ medium, store }: Yard): number {
  const block = new SuperBlock(new Uint8Array(PAGE_BYTES));
  const page = new Uint8Array(PAGE_BYTES);
  const { blocksPerPage } = store.geometry;
  const channel = medium.openChannel();
  void channel.read(block.bytes, 0, 0, blocksPerPage); // the medium is synchronous
  void channel.read(page, 0, block.clusterMask.start * blocksPerPage, blocksPerPage);
  const mark = decodeMarks(page, store.geometry, Infinity)?.mdPages;
  if (mark === undefined) throw new Error('the store has no mark');
  return mark;
}

function* reopened(yard: Yard): Steps<void> {
  yield* bystanders(yard);
  yield* yard.closeAll();
  yield* yard.reopen();
}

/** Makes a blob 'a' with data and xattrs, and opens it. */
function* subject(yard: Yard, made: NewBlob): Steps<void> {
  yield* bystanders(yard);
  yield* yard.create('a', made);
  yield* yard.open('a');
  for (let cluster = 0; cluster < made.clusters; cluster += Math.ceil(made.clusters / 3))
    yield* yard.write('a', cluster, 1, cluster + 5);
}

function resize(name: string, made: NewBlob, to: number, sizes?: Scenario['sizes']): Scenario {
  return scenario({
    name: `resize ${name} and sync`,
    isUnsynced: true,
    sizes,
    prepare: (yard) => subject(yard, made),
    *run(yard) {
      yield* yard.store.resizeBlob(yard.blob('a'), to);
      yield* yard.store.syncBlob(yard.blob('a'));
      return undefined;
    },
    apply: (oracle, yard) => yard.wasResized(yard.id('a'), to, oracle),
  });
}

/** A scenario that resizes without a sync; the sync or the close after that is made to fail. */
function unsyncedResize(
  name: string,
  made: NewBlob,
  sizesThen: number[],
  how: 'sync' | 'close',
  sizes?: Scenario['sizes'],
): Scenario {
  return scenario({
    name: `${how} after ${name}`,
    sizes,
    prepare: (yard) => subject(yard, made),
    *change(yard) {
      const { content } = yard.oracle.of(yard.id('a'));
      for (const clusters of sizesThen) yield* yard.resize('a', clusters);
      // As long as nothing was synced, a longer size brings back the data that was cut off.
      const bytes = yard.bytesOf(sizesThen.at(-1) ?? 0);
      yard.oracle.of(yard.id('a')).content = resized(content.slice(), bytes);
    },
    *run(yard) {
      if (how === 'sync') yield* yard.store.syncBlob(yard.blob('a'));
      else if (yard.held.has('a')) yield* yard.close('a');
      return undefined;
    },
    apply: () => undefined,
  });
}

export const RESIZE_SCENARIOS: readonly Scenario[] = [
  resize('a thick blob to more', { clusters: 4 }, 9),
  resize('a thick blob to less', { clusters: 9 }, 4),
  resize('a thick blob to nothing', { clusters: 5 }, 0),
  resize('a thin blob to more', { clusters: 4, isThin: true }, 12),
  resize('a thin blob to less', { clusters: 9, isThin: true }, 4),
  resize(
    'a thick blob with a long chain to less',
    { clusters: 9, xattrs: longXattrs(3, 1), clearMethod: 'write_zeroes' },
    2,
  ),
  resize('a large thick blob to more', { clusters: 500 }, 560, LARGE),
  resize('a large thick blob to less', { clusters: 560 }, 500, LARGE),
  resize('a large thin blob to less', { clusters: 800, isThin: true }, 300, LARGE),
  unsyncedResize('growing a thick blob', { clusters: 3 }, [8], 'sync'),
  unsyncedResize('shrinking a thin blob', { clusters: 8, isThin: true }, [3], 'close'),
  unsyncedResize('shrinking and growing a thick blob', { clusters: 8 }, [2, 6], 'sync'),
  unsyncedResize('growing and shrinking a thin blob', { clusters: 4, isThin: true }, [9, 2], 'close'),
  unsyncedResize('shrinking and growing a large thick blob', { clusters: 560 }, [400, 540], 'sync', LARGE),
];

export const SYNC_SCENARIOS: readonly Scenario[] = [
  scenario({
    name: 'sync of xattrs that need more pages',
    isUnsynced: true,
    prepare: (yard) => subject(yard, { clusters: 3, xattrs: longXattrs(2, 1) }),
    *run(yard) {
      for (const [name, value] of Object.entries(longXattrs(5, 30))) yard.store.setXattr(yard.blob('a'), name, value);
      yield* yard.store.syncBlob(yard.blob('a'));
      return undefined;
    },
    apply(oracle, yard) {
      oracle.of(yard.id('a')).xattrs = hexOf(longXattrs(5, 30));
    },
    retry: retrySyncOfXattrs,
  }),
  scenario({
    name: 'closing a blob with xattrs that need fewer pages',
    prepare: (yard) => subject(yard, { clusters: 3, isThin: true, xattrs: longXattrs(4, 1) }),
    *change(yard) {
      for (const name of ['long1', 'long2', 'long3']) {
        yard.store.removeXattr(yard.blob('a'), name);
        yard.oracle.of(yard.id('a')).xattrs.delete(name);
      }
      yield undefined;
    },
    *run(yard) {
      yield* yard.close('a');
      return undefined;
    },
    apply: () => undefined,
  }),
  scenario({
    name: 'sync that makes a blob read-only',
    isLasting: true,
    prepare: (yard) => subject(yard, { clusters: 3, xattrs: longXattrs(2, 1) }),
    *run(yard) {
      yard.store.setReadOnly(yard.blob('a'));
      yield* yard.store.syncBlob(yard.blob('a'));
      return undefined;
    },
    apply(oracle, yard) {
      oracle.of(yard.id('a')).isReadOnly = true;
    },
  }),
  scenario({
    name: 'flush of several blobs',
    isSeveral: true,
    *prepare(yard) {
      yield* subject(yard, { clusters: 4, isThin: true, xattrs: longXattrs(2, 1) });
      yield* yard.open('thin bystander');
    },
    *change(yard) {
      yield* yard.setXattr('a', 'long0', new Uint8Array([7]));
      yield* yard.setXattr('thin bystander', 'more', new Uint8Array(2500).fill(3));
      yield* yard.resize('thick bystander', 6);
    },
    *run(yard) {
      yield* yard.store.flush();
      return undefined;
    },
    apply: () => undefined,
  }),
];

function* retrySyncOfXattrs(yard: Yard): Steps<undefined> {
  for (const [name, value] of Object.entries(longXattrs(5, 30))) yard.store.setXattr(yard.blob('a'), name, value);
  yield* yard.store.syncBlob(yard.blob('a'));
  return undefined;
}

function deletion(name: string, made: NewBlob, sizes?: Scenario['sizes']): Scenario {
  return scenario({
    name: `delete ${name}`,
    sizes,
    leavesBytes: made.clearMethod === 'none',
    *prepare(yard) {
      yield* subject(yard, made);
      yield* yard.close('a');
    },
    *run(yard) {
      yield* yard.store.deleteBlob(yard.id('a'));
      return undefined;
    },
    apply: (oracle, yard) => void oracle.blobs.delete(yard.id('a')),
  });
}

export const DELETE_SCENARIOS: readonly Scenario[] = [
  deletion('a thick blob', { clusters: 5 }),
  deletion('a thin blob with a long chain', { clusters: 7, isThin: true, xattrs: longXattrs(3, 1) }),
  deletion('a blob that is cleared by zeroes', { clusters: 5, clearMethod: 'write_zeroes' }),
  deletion('a blob that is not cleared', { clusters: 5, clearMethod: 'none' }),
  deletion('a clone of an external snapshot', { clusters: 5, externalSeed: 9 }),
  deletion('a large thick blob', { clusters: 560, xattrs: longXattrs(2, 1) }, LARGE),
];

function writing(name: string, made: NewBlob, cluster: number, count: number, sizes?: Scenario['sizes']): Scenario {
  return scenario({
    name: `write ${name}`,
    sizes,
    prepare: (yard) => subject(yard, made),
    *run(yard) {
      yield* yard.writeOnly('a', cluster * yard.store.geometry.ioUnitsPerCluster, yard.payload(count, 1234));
      return undefined;
    },
    apply: (oracle, yard) => yard.wrote(yard.id('a'), yard.bytesOf(cluster), yard.payload(count, 1234), oracle),
    isDurable: (durability) => durability === 'process-crash',
  });
}

/** A scenario that writes one io unit in the middle of a cluster. */
function writingPart(name: string, made: NewBlob, cluster: number): Scenario {
  const bytes = (yard: Yard) => yard.payload(1, 555).slice(0, yard.store.geometry.ioUnitBytes);
  return scenario({
    name: `write a part of ${name}`,
    prepare: (yard) => subject(yard, made),
    *run(yard) {
      const { ioUnitsPerCluster } = yard.store.geometry;
      yield* yard.writeOnly('a', (cluster + 1) * ioUnitsPerCluster - 1, bytes(yard));
      return undefined;
    },
    apply(oracle, yard) {
      yard.wrote(yard.id('a'), yard.bytesOf(cluster + 1) - bytes(yard).length, bytes(yard), oracle);
    },
    isDurable: (durability) => durability === 'process-crash',
  });
}

export const WRITE_SCENARIOS: readonly Scenario[] = [
  writing('the first cluster of a thin blob', { clusters: 600, isThin: true }, 520, 1, LARGE),
  writing('another cluster of a thin blob', { clusters: 9, isThin: true }, 1, 1),
  { ...writing('over a cluster of a thick blob', { clusters: 4 }, 2, 1), changesInPlace: true },
  writing('a cluster of a clone of an external snapshot', { clusters: 6, externalSeed: 31 }, 1, 1),
  writingPart('a cluster of a thin blob', { clusters: 9, isThin: true }, 1),
  writingPart('a cluster of a clone of an external snapshot', { clusters: 6, externalSeed: 31 }, 1),
  scenario({
    name: 'write zeroes into a cluster of a thin blob',
    prepare: (yard) => subject(yard, { clusters: 9, externalSeed: 8 }),
    *run(yard) {
      const { ioUnitsPerCluster } = yard.store.geometry;
      yield* yard.zeroOnly('a', ioUnitsPerCluster, ioUnitsPerCluster);
      return undefined;
    },
    apply: (oracle, yard) => yard.wrote(yard.id('a'), yard.bytesOf(1), new Uint8Array(yard.bytesOf(1)), oracle),
    isDurable: (durability) => durability === 'process-crash',
  }),
];

function unmapping(name: string, made: NewBlob, cluster: number, sizes?: Scenario['sizes']): Scenario {
  return scenario({
    name: `unmap ${name}`,
    sizes,
    prepare: (yard) => subject(yard, made),
    *run(yard) {
      const { ioUnitsPerCluster } = yard.store.geometry;
      yield* yard.unmapOnly('a', cluster * ioUnitsPerCluster, ioUnitsPerCluster);
      return undefined;
    },
    apply: (oracle, yard) => yard.wrote(yard.id('a'), yard.bytesOf(cluster), new Uint8Array(yard.bytesOf(1)), oracle),
  });
}

export const UNMAP_SCENARIOS: readonly Scenario[] = [
  unmapping('a cluster of a thin blob', { clusters: 9, isThin: true }, 3),
  unmapping('a cluster of a thick blob', { clusters: 4 }, 2),
  unmapping('a cluster of a clone of an external snapshot', { clusters: 9, externalSeed: 3 }, 3),
  unmapping('a cluster of a large thin blob', { clusters: 800, isThin: true }, 534, LARGE),
];
