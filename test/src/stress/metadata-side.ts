/**
 * The metadata side of a round: it makes, deletes and resizes blobs, snapshots and clones, while other threads write.
 */

import { BlobstoreError, type ErrorCode } from '@blobyard/core';
import type { ResizableDevice } from '@blobyard/io';
import type { Blob, Store } from '@blobyard/workers';
import { favour, statusOf, textOf } from './actor.js';
import { Behind, type BlobBase } from './history.js';
import { logged, type MetadataEvent, type MetadataFacts, THE_STORE } from './metadata-log.js';
import type { MetadataKind, MetadataOperation } from './schedule.js';
import { BLOB_STATE, BLOCKS_MAX, CHANGE, type SharedLog, STATUS } from './shared-log.js';
import { BLOCK_BYTES, BLOCK_WORDS, type BlockContent, readStamp } from './stamp.js';

/** A blob of the round, as the checker needs it. */
export interface TrackedBlob {
  readonly index: number;
  readonly id: bigint;
  readonly name: string;
  readonly base: BlobBase;
  /** The contents of a snapshot; undefined for a writable blob. */
  readonly truth: readonly BlockContent[] | undefined;
  /** The index of the original of a clone or snapshot that was made in this round. */
  readonly of: number | undefined;
  isDeleted: boolean;
}

/** A snapshot that was made in this round. */
export interface TakenSnapshot {
  readonly blob: number;
  readonly of: number;
  readonly begin: number;
  readonly end: number;
  readonly contents: readonly BlockContent[];
}

/** The state that all sides of a round share. */
export interface RoundBlobs {
  readonly blobs: TrackedBlob[];
  readonly snapshots: TakenSnapshot[];
  /** For each blob, the moment at which its first snapshot may have been made. */
  readonly firstSnapshots: Map<number, number>;
  readonly events: MetadataEvent[];
  readonly findings: string[];
  readonly done: Record<string, number>;
  readonly refused: Record<string, number>;
}

export interface MetadataSideOptions {
  readonly log: SharedLog;
  readonly writer: number;
  readonly store: Store;
  readonly device: ResizableDevice;
  readonly deviceBytesMax: number;
  readonly clusterBytes: number;
  /** The prefix of the names of blobs and xattrs. */
  readonly prefix: string;
  /** About the number of blobs at once. Default: 22. */
  readonly blobsAtOnce?: number;
  readonly round: RoundBlobs;
  readonly schedule: Generator<MetadataOperation, never>;
}

const BLOBS_AT_ONCE = 22;
const FULL: readonly ErrorCode[] = ['ENOSPC', 'ENOMEM'];
/** The error codes that are allowed for each operation, because another side was faster, or the store is full. */
const LEGAL: Record<MetadataKind, readonly ErrorCode[]> = {
  create: FULL,
  snapshot: FULL,
  clone: FULL,
  inflate: FULL,
  decouple: [...FULL, 'EINVAL'],
  delete: [...FULL, 'EBUSY'],
  resize: FULL,
  xattr: FULL,
  sync: FULL,
  flush: FULL,
  grow: FULL,
  rest: [],
};

export class MetadataSide {
  readonly #options: MetadataSideOptions;
  readonly #log: SharedLog;
  readonly #round: RoundBlobs;
  readonly #clusterBlocks: number;

  constructor(options: MetadataSideOptions) {
    this.#options = options;
    this.#log = options.log;
    this.#round = options.round;
    this.#clusterBlocks = options.clusterBytes / BLOCK_BYTES;
  }

  async run(): Promise<void> {
    while (!this.#log.isStopped) {
      const operation = this.#options.schedule.next().value;
      await this.#execute(operation);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async #execute(operation: MetadataOperation): Promise<void> {
    const { kind, variant } = operation;
    const { findings, done, refused } = this.#round;
    try {
      await this.#attempt(operation);
      done[kind] = (done[kind] ?? 0) + 1;
    } catch (error) {
      const code = error instanceof BlobstoreError ? error.code : 'EIO';
      refused[`${kind} ${code}`] = (refused[`${kind} ${code}`] ?? 0) + 1;
      const isLegal = error instanceof BlobstoreError && LEGAL[kind].includes(code);
      const isRaced = code === 'ENOENT' && kind !== 'create'; // the other metadata side was faster
      if (!isLegal && !isRaced) findings.push(`metadata: ${kind} (${variant % 1000}) failed: ${textOf(error)}`);
    }
  }

  async #attempt(operation: MetadataOperation): Promise<void> {
    const { kind, size, variant } = operation;
    switch (kind) {
      case 'rest':
        return new Promise((resolve) => setTimeout(resolve, variant % 12));
      case 'create':
        return this.#create(1 + (size % (BLOCKS_MAX / this.#clusterBlocks / 2)), variant % 4 !== 0);
      case 'flush':
        return this.#logged({ kind: 'flush', blob: THE_STORE }, () => this.#options.store.flush());
      case 'grow':
        return this.#grow();
      case 'delete':
        return this.#delete(operation);
      case 'snapshot':
        return this.#onBlob(operation, false, (tracked, blob) => this.#snapshot(tracked, blob));
      case 'clone':
        return this.#onBlob(operation, true, (tracked, blob) => this.#clone(tracked, blob));
      case 'resize':
        return this.#onBlob(operation, false, (tracked, blob) => this.#resize(tracked, blob, size, variant));
      case 'xattr':
        return this.#onBlob(operation, false, (tracked, blob) => this.#setXattr(tracked, blob, size, variant));
      case 'inflate':
        return this.#onBlob(operation, false, (_, blob) => blob.inflate());
      case 'decouple':
        return this.#onBlob(operation, false, (_, blob) => blob.decouple());
      case 'sync':
        return this.#onBlob(operation, false, (_, blob) => blob.sync());
    }
  }

  #live(isSnapshot: boolean | undefined): TrackedBlob[] {
    return this.#round.blobs.filter((tracked) => {
      return !tracked.isDeleted && (isSnapshot === undefined || (tracked.truth !== undefined) === isSnapshot);
    });
  }

  /** Opens the blob that the operation selects, executes an action with the handle, and closes it. */
  async #onBlob(
    { blob: choice }: MetadataOperation,
    isSnapshot: boolean,
    action: (tracked: TrackedBlob, blob: Blob) => Promise<void>,
  ): Promise<void> {
    const live = this.#live(isSnapshot);
    if (live.length === 0) return;
    const tracked = live[favour(choice, live.length)];
    const blob = await this.#options.store.open(tracked.id);
    try {
      // A blob that is being deleted may be gone, and another blob may have its id.
      if (this.#log.state(tracked.index) !== BLOB_STATE.DELETING) await action(tracked, blob);
    } finally {
      await closeSurely(blob);
    }
  }

  #isCrowded(): boolean {
    return this.#live(undefined).length >= this.#blobsAtOnce;
  }

  get #blobsAtOnce(): number {
    return this.#options.blobsAtOnce ?? BLOBS_AT_ONCE;
  }

  #logged<T>(facts: MetadataFacts, operation: () => Promise<T>): Promise<T> {
    return logged(this.#log, this.#round.events, facts, operation);
  }

  #nameOf(index: number): string {
    return `${this.#options.prefix}-${index}`;
  }

  async #create(clusters: number, thin: boolean): Promise<void> {
    if (this.#isCrowded()) return;
    const index = this.#log.addBlob();
    if (index === undefined) return;
    const name = this.#nameOf(index);
    const facts = { kind: 'create', blob: index, name, blocks: clusters * this.#clusterBlocks } as const;
    const sizeBytes = clusters * this.#options.clusterBytes;
    const blob = await this.#logged(facts, () => this.#options.store.create({ name, sizeBytes, thin }));
    const base: BlobBase = { contents: [], isOverZeroes: true, behind: new Behind() };
    this.#track({ index, id: blob.id, name, base, truth: undefined, of: undefined, isDeleted: false }, blob);
    await closeSurely(blob);
  }

  #track(tracked: TrackedBlob, blob: Blob): void {
    this.#round.blobs.push(tracked);
    const state = tracked.truth === undefined ? BLOB_STATE.WRITABLE : BLOB_STATE.SNAPSHOT;
    tracked.truth?.forEach(({ signature }, block) => {
      this.#log.setTruth(tracked.index, block, signature);
    });
    this.#log.publish(tracked.index, blob.id, blob.sizeBytes / BLOCK_BYTES, state);
  }

  async #snapshot(original: TrackedBlob, blob: Blob): Promise<void> {
    if (this.#isCrowded()) return;
    const index = this.#log.addBlob();
    if (index === undefined) return;
    const { firstSnapshots, snapshots } = this.#round;
    const begin = this.#log.now();
    if (!firstSnapshots.has(original.index)) firstSnapshots.set(original.index, begin);
    const name = this.#nameOf(index);
    const facts = { kind: 'snapshot', blob: index, name, of: original.index } as const;
    const snapshot = await this.#logged(facts, () => blob.snapshot({ name }));
    const end = this.#log.now();
    try {
      const contents = await readContents(snapshot);
      snapshots.push({ blob: index, of: original.index, begin, end, contents });
      const { behind } = original.base;
      const base: BlobBase = { contents, isOverZeroes: false, behind: behind.with([]) };
      behind.add(contents);
      const tracked = { index, id: snapshot.id, name, base, truth: contents, of: original.index, isDeleted: false };
      this.#track(tracked, snapshot);
    } finally {
      await closeSurely(snapshot);
    }
  }

  async #clone(snapshot: TrackedBlob, blob: Blob): Promise<void> {
    if (this.#isCrowded()) return;
    const index = this.#log.addBlob();
    if (index === undefined) return;
    const name = this.#nameOf(index);
    const facts = { kind: 'clone', blob: index, name, of: snapshot.index } as const;
    const clone = await this.#logged(facts, () => blob.clone({ name }));
    const { contents, behind } = snapshot.base;
    const base: BlobBase = { contents, isOverZeroes: false, behind: behind.with(contents) };
    this.#track({ index, id: clone.id, name, base, truth: undefined, of: snapshot.index, isDeleted: false }, clone);
    await closeSurely(clone);
  }

  /** Resizes a blob. A shrink is logged as a change of the blocks that are cut off. */
  async #resize(tracked: TrackedBlob, blob: Blob, size: number, variant: number): Promise<void> {
    const log = this.#log;
    const { writer, clusterBytes } = this.#options;
    if (log.isFull(writer)) return;
    const { index } = tracked;
    if (this.#resizing.has(index)) return;
    this.#resizing.add(index);
    const before = blob.sizeBytes / BLOCK_BYTES;
    const clusters = variant % 3 === 0 ? size % 9 : 1 + (size % (BLOCKS_MAX / this.#clusterBlocks));
    const after = clusters * this.#clusterBlocks;
    const entry = after < before ? log.begin(writer, CHANGE.SHRINK, index, after, BLOCKS_MAX) : undefined;
    if (after < before) log.setBlocks(index, after);
    try {
      const facts = { kind: 'resize', blob: index, blocks: after } as const;
      await this.#logged(facts, () => blob.resize(clusters * clusterBytes));
      if (entry !== undefined) log.end(writer, entry, STATUS.DONE);
    } catch (error) {
      if (entry !== undefined) log.end(writer, entry, statusOf(error));
      throw error;
    } finally {
      log.setBlocks(index, blob.sizeBytes / BLOCK_BYTES);
      this.#resizing.delete(index);
    }
  }

  /** Sets an xattr. Some values are so long that the blob's metadata needs several pages. */
  async #setXattr(tracked: TrackedBlob, blob: Blob, size: number, variant: number): Promise<void> {
    const xattr = { name: `${this.#options.prefix} x${variant % 4}`, value: String(size).repeat(1 + (variant % 180)) };
    const facts = { kind: 'xattr', blob: tracked.index, xattr } as const;
    await this.#logged(facts, () => blob.xattrs.set(xattr.name, xattr.value));
  }

  get #resizing(): Set<number> {
    return resizingOf(this.#round);
  }

  async #delete({ blob: choice, variant }: MetadataOperation): Promise<void> {
    const live = this.#live(undefined);
    const most = this.#blobsAtOnce;
    if (live.length < most / 3 || (live.length < most * 0.8 && variant % 2 === 0)) return;
    const tracked = live[choice % live.length];
    const before = this.#log.state(tracked.index);
    if (before === BLOB_STATE.DELETING) return;
    this.#log.setState(tracked.index, BLOB_STATE.DELETING);
    try {
      await this.#logged({ kind: 'delete', blob: tracked.index }, () => this.#options.store.delete(tracked.id));
      tracked.isDeleted = true;
    } catch (error) {
      this.#log.setState(tracked.index, before);
      throw error;
    }
  }

  async #grow(): Promise<void> {
    const { device, deviceBytesMax, clusterBytes, store } = this.#options;
    const bytes = device.blockCount * device.blockLengthBytes + 16 * clusterBytes;
    if (bytes > deviceBytesMax) return;
    await device.resize(bytes / device.blockLengthBytes);
    await store.grow();
  }
}

const resizing = new WeakMap<RoundBlobs, Set<number>>();

/** The blobs that are being resized. Resizes of one blob do not overlap, so that its size is known. */
function resizingOf(round: RoundBlobs): Set<number> {
  let blobs = resizing.get(round);
  if (blobs === undefined) {
    blobs = new Set();
    resizing.set(round, blobs);
  }
  return blobs;
}

/** Closes a handle. In a full store a close may fail, and is tried again. */
export async function closeSurely(blob: Blob): Promise<void> {
  for (let attempts = 0; ; attempts++) {
    try {
      return await blob.close();
    } catch (error) {
      if (attempts === 200 || !(error instanceof BlobstoreError && FULL.includes(error.code))) throw error;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

/** Reads the contents of a blob that does not change meanwhile. */
export async function readContents(blob: Pick<Blob, 'sizeBytes' | 'read'>): Promise<BlockContent[]> {
  const bytes = await blob.read(0, blob.sizeBytes);
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  return Array.from({ length: bytes.byteLength / BLOCK_BYTES }, (_, block) => {
    return readStamp(words, block * BLOCK_WORDS, block);
  });
}
