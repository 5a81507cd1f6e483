/** The images that are damaged: stores with blobs of every kind, as bytes, together with what their blobs contain. */

import { type Blob, type BlobId, Blobstore, type Durability, type LoadOptions, runSync } from '@blobyard/core';
import { ImageDevice } from './image-device.js';

export const CLUSTER_BYTES = 4096;
export const PAGE_BYTES = 4096;

/** A blob of an image without damage. */
export interface KnownBlob {
  readonly id: BlobId;
  /** The page numbers of its chain and its extent pages. */
  readonly pages: readonly number[];
  readonly clusters: readonly number[];
  /** The snapshot that it is a clone of. */
  readonly parent: BlobId | undefined;
  readonly content: Uint8Array;
}

export interface BaseImage {
  readonly name: string;
  readonly durability: Durability;
  readonly bytes: Uint8Array;
  readonly isClean: boolean;
  readonly mdStartPage: number;
  readonly mdPageCount: number;
  /** The pages of the device that the masks take. */
  readonly masks: readonly { readonly start: number; readonly count: number }[];
  readonly blobs: readonly KnownBlob[];
  /** The contents of metadata pages before their blob was deleted, by page number. */
  readonly deleted: ReadonlyMap<number, Uint8Array>;
  /** Metadata pages of blobs with an operation under way. These blobs are not in `blobs`. */
  readonly busyPages: readonly number[];
}

interface Config {
  name: string;
  durability: Durability;
  isClean: boolean;
  useExtentTable: boolean;
  mdPageCount: number;
  clusterCount: number;
  /** The number of clusters of the long blob. More than 512 take several extent pages. */
  longCount: number;
  /** The last operation, in a store that is not closed. The process is killed in the middle of it. */
  underWay?: 'snapshot' | 'deletion';
  /** True: at the end a blob is deleted, and another one gets its clusters. */
  deletes?: boolean;
}

const SMALL = { useExtentTable: true, mdPageCount: 40, clusterCount: 112, longCount: 20 };
const CONFIGS: readonly Config[] = [
  { ...SMALL, name: 'clean', durability: 'power-loss', isClean: true },
  { ...SMALL, name: 'dirty', durability: 'power-loss', isClean: false },
  { ...SMALL, name: 'dirty, process-crash', durability: 'process-crash', isClean: false },
  { ...SMALL, name: 'clean, runs', durability: 'power-loss', isClean: true, useExtentTable: false },
  { ...SMALL, name: 'dirty, runs', durability: 'power-loss', isClean: false, useExtentTable: false },
  { ...SMALL, name: 'long', durability: 'power-loss', isClean: true, mdPageCount: 60, longCount: 1100 },
  { ...SMALL, name: 'dirty, long', durability: 'power-loss', isClean: false, mdPageCount: 60, longCount: 1100 },
];

/**
 * Images with leftovers of a deleted blob, or of an operation that was under way. They are a list of their own, because
 * they were added later, and the images of `CONFIGS` had to keep their numbers.
 */
const CONFIGS_LATER: readonly Config[] = [
  { ...SMALL, name: 'clean, after a deletion', durability: 'power-loss', isClean: true, deletes: true },
  {
    ...SMALL,
    name: 'clean, runs, after a deletion',
    durability: 'power-loss',
    isClean: true,
    useExtentTable: false,
    deletes: true,
  },
  { ...SMALL, name: 'dirty, in a snapshot', durability: 'power-loss', isClean: false, underWay: 'snapshot' },
  {
    ...SMALL,
    name: 'dirty, runs, in a snapshot',
    durability: 'power-loss',
    isClean: false,
    useExtentTable: false,
    underWay: 'snapshot',
  },
  { ...SMALL, name: 'dirty, in a deletion', durability: 'power-loss', isClean: false, underWay: 'deletion' },
  {
    ...SMALL,
    name: 'dirty, runs, in a deletion',
    durability: 'power-loss',
    isClean: false,
    useExtentTable: false,
    underWay: 'deletion',
  },
];

export function loadOptions(base: Pick<BaseImage, 'durability'>): LoadOptions {
  return { clusterBytes: CLUSTER_BYTES, durability: base.durability, openExternalSnapshot: () => external() };
}

/** The external snapshot of all clones of one: always the same bytes. */
function external(): ImageDevice {
  return new ImageDevice(new Uint8Array(8 * CLUSTER_BYTES).fill(0xee));
}

let made: readonly BaseImage[] | undefined;

/** The images of `CONFIGS`. They have the same bytes in each run. */
export function baseImages(): readonly BaseImage[] {
  made ??= CONFIGS.map((config) => make(config));
  return made;
}

let madeLater: readonly BaseImage[] | undefined;

/** The images of `CONFIGS_LATER`; of an operation under way there is an image for each of its writes. */
export function laterImages(): readonly BaseImage[] {
  madeLater ??= CONFIGS_LATER.flatMap((config) => {
    if (!config.underWay) return [make(config)];
    const writeCount = make(config).writeCount;
    return Array.from({ length: writeCount - 1 }, (_, at) => make(config, at + 1));
  });
  return madeLater;
}

/** @param writesMax - the number of writes of the operation under way that reach the device; by default all */
function make(config: Config, writesMax = Infinity): BaseImage & { writeCount: number } {
  const device = new ImageDevice(new Uint8Array(config.clusterCount * CLUSTER_BYTES));
  const { mdPageCount, durability } = config;
  const options = { ...loadOptions(config), mdPageCount };
  const store = runSync(Blobstore.init(device, options));
  fill(store, config);
  const deleted = config.deletes ? deleteOne(store, device, config) : new Map<number, Uint8Array>();
  const { underWay } = config;
  const blobs = runSync(describe(store));
  const goesOn = underWay && prepare(store, config, underWay);
  const writesBefore = device.writes;
  device.writesMax = writesBefore + writesMax;
  goesOn?.();
  runSync(config.isClean ? store.unload() : store.abandon());
  const { mdStartPage } = store.geometry;
  const view = new DataView(device.bytes.buffer);
  const masks = [32, 40, 72].map((at) => ({ start: view.getUint32(at, true), count: view.getUint32(at + 4, true) }));
  const { bytes } = device;
  const known = new Set(blobs.flatMap(({ pages }) => pages));
  const isBusy = (page: number) => !known.has(page) && bytes[(mdStartPage + page) * PAGE_BYTES + 4] === 1;
  const busyPages = Array.from({ length: mdPageCount }, (_, page) => page).filter(isBusy);
  const { name, isClean } = config;
  const writeCount = device.writes - writesBefore;
  return { name, durability, bytes, isClean, mdStartPage, mdPageCount, masks, blobs, deleted, busyPages, writeCount };
}

/** Deletes a blob, whose clusters another one then gets. Returns the contents of its metadata pages by their number. */
function deleteOne(store: Blobstore, device: ImageDevice, { useExtentTable }: Config): Map<number, Uint8Array> {
  const keeper = runSync(store.openBlob(runSync(store.createBlob({ clusterCount: 1, useExtentTable }))));
  const old = runSync(store.openBlob(runSync(store.createBlob({ clusterCount: 4, useExtentTable }))));
  const pages = [...old.chain, ...old.extentPageNumbers()];
  const deleted = new Map(
    pages.map((page): [number, Uint8Array] => {
      const at = (store.geometry.mdStartPage + page) * PAGE_BYTES;
      return [page, device.bytes.slice(at, at + PAGE_BYTES)];
    }),
  );
  runSync(store.closeBlob(old));
  runSync(store.deleteBlob(old.id));
  runSync(store.resizeBlob(keeper, 5));
  store.openChannel().writeSync(keeper, new Uint8Array(5 * CLUSTER_BYTES).fill(0x77), 0, 5);
  runSync(store.closeBlob(keeper));
  return deleted;
}

/** Prepares an operation that is then interrupted. Returns the function that executes it. */
function prepare(store: Blobstore, { useExtentTable }: Config, what: 'snapshot' | 'deletion'): () => void {
  const id = runSync(store.createBlob({ clusterCount: 5, thin: true, useExtentTable }));
  const blob = runSync(store.openBlob(id));
  const channel = store.openChannel();
  channel.writeSync(blob, new Uint8Array(3 * CLUSTER_BYTES).fill(0x55), 0, 3);
  const snapshots = what === 'deletion' ? [1, 2].map(() => runSync(store.createSnapshot(id))) : [];
  channel.writeSync(blob, new Uint8Array(CLUSTER_BYTES).fill(0x56), 1, 1);
  runSync(store.closeBlob(blob));
  if (what === 'snapshot') return () => void runSync(store.createSnapshot(id));
  return () => runSync(store.deleteBlob(snapshots[1]));
}

/** Makes thick and thin blobs, clones of clones, long chains of xattrs, and a clone of an external snapshot. */
function fill(store: Blobstore, { useExtentTable, longCount }: Config): void {
  const channel = store.openChannel();
  let stamp = 1;
  const write = (blob: Blob, ...clusters: number[]) => {
    for (const cluster of clusters)
      channel.writeSync(blob, new Uint8Array(CLUSTER_BYTES).fill(stamp++ & 0xff), cluster, 1);
  };
  const create = (clusterCount: number, thin: boolean, more = {}) => {
    const id = runSync(store.createBlob({ clusterCount, thin, useExtentTable, ...more }));
    return runSync(store.openBlob(id));
  };
  const thick = create(6, false, { xattrs: { name: new Uint8Array([116]) } });
  write(thick, 0, 2, 5);
  const gone = create(3, false);
  const other = create(5, true, { useExtentTable: !useExtentTable });
  write(other, 1, 4, 0);
  const long = create(longCount, true, { xattrs: xattrsOf(3) });
  write(long, 0, 7, longCount - 1, longCount - 3);
  runSync(store.closeBlob(gone));
  runSync(store.deleteBlob(gone.id));
  const first = runSync(store.createSnapshot(long.id));
  write(long, 0, 1);
  runSync(store.createSnapshot(long.id));
  write(long, 3);
  const clone = runSync(store.openBlob(runSync(store.createClone(first))));
  write(clone, 2);
  const outside = create(8, true, { externalSnapshotId: new Uint8Array([1, 2]) });
  write(outside, 6);
  const empty = create(0, true);
  const last = create(4, false);
  write(last, 0, 1, 2, 3);
  for (const blob of [thick, other, long, clone, outside, empty, last]) runSync(store.closeBlob(blob));
}

function xattrsOf(count: number): Record<string, Uint8Array> {
  return Object.fromEntries(Array.from({ length: count }, (_, at) => [`x${at}`, new Uint8Array(2500).fill(at + 1)]));
}

function* describe(store: Blobstore) {
  const channel = store.openChannel();
  const known: KnownBlob[] = [];
  for (const id of store.blobIds()) {
    const blob = yield* store.openBlob(id);
    const parent = blob.isClone ? blob.parentId : undefined;
    const extentPages = blob.extentPageNumbers();
    const clusters = Array.from({ length: blob.clusterCount }, (_, at) => blob.clusterAt(at) as number);
    const content = readAll(channel, blob);
    const pages = [...blob.chain, ...extentPages];
    known.push({ id, pages, clusters: clusters.filter((cluster) => cluster !== 0), parent, content });
    yield* store.closeBlob(blob);
  }
  return known;
}

/** The data of a blob: its first 24 clusters, and its last 4. */
export function readAll(channel: ReturnType<Blobstore['openChannel']>, blob: Blob): Uint8Array {
  const head = Math.min(blob.clusterCount, 24);
  const tail = Math.min(blob.clusterCount - head, 4);
  const content = new Uint8Array((head + tail) * CLUSTER_BYTES);
  if (head > 0) channel.readSync(blob, content, 0, head);
  if (tail > 0) channel.readSync(blob, content, blob.clusterCount - tail, tail, head * CLUSTER_BYTES);
  return content;
}
