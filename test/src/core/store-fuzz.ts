/**
 * Plays random operations on a store and on a naive model of it, and compares both after each. The blobs, sizes and
 * offsets of an operation are arbitrary numbers, which are mapped to valid ones. So a sequence is still valid when
 * fast-check removes operations from it.
 */

import {
  type Blob,
  Blobstore,
  BlobstoreError,
  type Channel,
  type Durability,
  INVALID_BLOB_ID,
  run,
} from '@blobyard/core';
import { asyncDevice, SparseMemoryDevice } from '@blobyard/io';
import fc from 'fast-check';
import { bytesOfTokens, tokensOfBytes } from './io-unit-tokens.js';
import { ModelBlob, requireSame } from './model-blob.js';

export interface FuzzConfig {
  blockLengthBytes: number;
  clusterBytes: number;
  clustersOnDevice: number;
  mdPageCount: number;
  durability: Durability;
  useExtentTable: boolean;
  canCopy: boolean;
  /** True: all operations are in promise form, on a device that answers later. */
  asynchronous: boolean;
  /** The sizes of blobs, in clusters. */
  sizes: readonly number[];
  blobsMax: number;
}

const KINDS = [
  'create',
  'create',
  'write',
  'write',
  'write',
  'write',
  'write',
  'write',
  'writev',
  'read',
  'writeZeroes',
  'unmap',
  'unmap',
  'snapshot',
  'snapshot',
  'snapshot',
  'snapshot',
  'clone',
  'clone',
  'inflate',
  'decouple',
  'decouple',
  'resize',
  'resize',
  'resize',
  'resize',
  'delete',
  'delete',
  'sync',
  'flush',
  'close',
  'setXattr',
  'removeXattr',
  'reload',
  'recover',
  'crash',
  'crash',
] as const;

/** The operations that a read-only blob refuses. */
const WRITING: readonly string[] = ['write', 'writev', 'writeZeroes', 'unmap', 'snapshot', 'resize', 'setXattr'];

export interface FuzzOperation {
  kind: (typeof KINDS)[number];
  blob: number;
  at: number;
  length: number;
}

export function fuzzOperations(maxLength: number): fc.Arbitrary<FuzzOperation[]> {
  const number = fc.oneof(fc.nat({ max: 8 }), fc.nat({ max: 100_000 }));
  return fc.array(fc.record({ kind: fc.constantFrom(...KINDS), blob: number, at: number, length: number }), {
    maxLength,
    size: 'max',
  });
}

/** The error codes of operations that fail because the store is full. */
const FULL = ['ENOSPC', 'ENOMEM'];
const XATTR_LENGTHS = [4, 100, 2000, 4000];

export class StoreFuzz {
  readonly #config: FuzzConfig;
  readonly #unitBytes: number;
  readonly #unitsPerCluster: number;
  readonly #device: SparseMemoryDevice;
  readonly #blobs = new Map<bigint, ModelBlob>();
  readonly #handles = new Map<bigint, Blob>();
  #store!: Blobstore;
  #channel!: Channel;
  #nextToken = 1;
  /** A buffer for the whole of the largest blob. */
  readonly #buffer: Uint8Array;

  private constructor(config: FuzzConfig) {
    this.#config = config;
    this.#unitBytes = config.blockLengthBytes;
    this.#unitsPerCluster = config.clusterBytes / config.blockLengthBytes;
    this.#buffer = new Uint8Array(Math.max(...config.sizes) * config.clusterBytes);
    this.#device = new SparseMemoryDevice({
      sizeBytes: config.clustersOnDevice * config.clusterBytes,
      blockLengthBytes: config.blockLengthBytes,
      canCopy: config.canCopy,
    });
  }

  /** Plays all operations on a new store. Throws at the first difference from the model. */
  static async play(config: FuzzConfig, operations: readonly FuzzOperation[]): Promise<void> {
    const fuzz = new StoreFuzz(config);
    const { clusterBytes, mdPageCount, durability } = config;
    fuzz.#store = await run(Blobstore.init(fuzz.#attached(), { clusterBytes, mdPageCount, durability }));
    fuzz.#channel = fuzz.#store.openChannel();
    for (const operation of operations) {
      await fuzz.#execute(operation);
      await fuzz.#checkAll();
    }
    await fuzz.#reload({ force: false });
    await fuzz.#checkAll();
  }

  /** The device that the store gets. */
  #attached() {
    return this.#config.asynchronous ? asyncDevice(this.#device, { when: 'microtask' }) : this.#device;
  }

  get #survivesCrash(): boolean {
    return this.#config.durability === 'process-crash';
  }

  async #execute({ kind, blob: choice, at, length }: FuzzOperation): Promise<void> {
    const { sizes } = this.#config;
    if (kind === 'create') return this.#create(sizes[at % sizes.length], length % 3 !== 0);
    if (kind === 'reload') return this.#reload({ force: false });
    if (kind === 'recover') return this.#reload({ force: true });
    if (kind === 'crash') return this.#crash();
    const blob = this.#choose(kind, choice);
    if (!blob) return;
    switch (kind) {
      case 'snapshot':
        return this.#snapshot(blob);
      case 'clone':
        return this.#clone(blob);
      case 'inflate':
        return this.#inflate(blob);
      case 'decouple':
        return this.#decouple(blob);
      case 'resize':
        return this.#resize(blob, sizes[at % sizes.length]);
      case 'delete':
        return this.#delete(blob);
      case 'sync':
      case 'flush':
        return this.#sync(blob, kind);
      case 'close':
        return this.#close(blob);
      case 'setXattr':
        return this.#setXattr(blob, `x${at % 4}`, XATTR_LENGTHS[length % XATTR_LENGTHS.length]);
      case 'removeXattr':
        return this.#removeXattr(blob, `x${at % 4}`);
      default:
        return this.#transfer(kind, blob, at, length);
    }
  }

  /** A blob for which the operation is valid; sometimes any blob, so that invalid operations are tried too. */
  #choose(kind: FuzzOperation['kind'], choice: number): ModelBlob | undefined {
    const all = [...this.#blobs.values()];
    const fitting = all.filter((blob) => {
      if (WRITING.includes(kind)) return !blob.readOnly;
      if (kind === 'clone') return blob.readOnly;
      if (kind === 'inflate' || kind === 'decouple') return blob.parent !== undefined;
      return kind !== 'delete' || this.#clonesOf(blob).length < 2;
    });
    const candidates = choice % 16 === 15 ? all : fitting;
    return candidates[choice % candidates.length];
  }

  /** Runs an operation that must end with one of `codes` (undefined: success). Returns that one. */
  async #answer(action: () => Promise<void>, codes: readonly (string | undefined)[]): Promise<string | undefined> {
    let code: string | undefined;
    try {
      await action();
    } catch (error) {
      if (!(error instanceof BlobstoreError) || !codes.includes(error.code)) throw error;
      code = error.code;
    }
    if (!codes.includes(code)) requireSame('answer', code, `one of ${codes}`);
    return code;
  }

  async #open(blob: ModelBlob): Promise<Blob> {
    const held = this.#handles.get(blob.id);
    if (held) return held;
    const handle = await run(this.#store.openBlob(blob.id));
    this.#handles.set(blob.id, handle);
    return handle;
  }

  async #close(blob: ModelBlob): Promise<void> {
    const handle = this.#handles.get(blob.id);
    if (!handle) return;
    await run(this.#store.closeBlob(handle));
    this.#handles.delete(blob.id);
    blob.synced();
  }

  #add(fields: Omit<ConstructorParameters<typeof ModelBlob>[0], 'readOnly'>, readOnly = false): ModelBlob {
    const blob = new ModelBlob({ ...fields, readOnly }, this.#unitsPerCluster);
    this.#blobs.set(blob.id, blob);
    return blob;
  }

  async #create(clusterCount: number, thin: boolean): Promise<void> {
    if (this.#blobs.size >= this.#config.blobsMax) return;
    const { useExtentTable } = this.#config;
    const free = this.#store.freeClusterCount;
    const isRoom = thin || clusterCount <= free;
    let id = 0n;
    const create = async () => {
      id = await run(this.#store.createBlob({ clusterCount, thin, useExtentTable }));
    };
    if ((await this.#answer(create, isRoom ? [undefined, ...FULL] : FULL)) !== undefined) return;
    const allocated = thin ? [] : Array.from({ length: clusterCount }, (_, index) => index);
    const units = Array.from({ length: clusterCount * this.#unitsPerCluster }, () => 0);
    this.#add({ id, clusterCount, thin, parent: undefined, allocated, units });
  }

  async #transfer(kind: FuzzOperation['kind'], blob: ModelBlob, at: number, length: number): Promise<void> {
    if (blob.unitCount === 0) return;
    const handle = await this.#open(blob);
    const first = at % blob.unitCount;
    const count = Math.min(1 + (length % (3 * this.#unitsPerCluster)), blob.unitCount - first);
    if (kind === 'read') return this.#readSome(blob, handle, first, count, length % 3);
    if (kind === 'unmap') return this.#unmap(blob, handle, first, count);
    const tokens = Array.from({ length: count }, () => (kind === 'writeZeroes' ? 0 : this.#nextToken++));
    const action = () => this.#sendWrite(kind, handle, first, tokens);
    const code = await this.#answer(action, blob.readOnly ? ['EPERM'] : [undefined, 'ENOSPC']);
    if (code === 'EPERM') return;
    if (code === 'ENOSPC') {
      return blob.adoptPartial(first, tokens, this.#allocationOf(handle), await this.#readAll(handle));
    }
    tokens.forEach((token, index) => {
      blob.allocated.add(Math.floor((first + index) / this.#unitsPerCluster));
      blob.set(first + index, token, this.#survivesCrash);
    });
  }

  async #sendWrite(kind: FuzzOperation['kind'], handle: Blob, first: number, tokens: readonly number[]): Promise<void> {
    const channel = this.#channel;
    const { asynchronous } = this.#config;
    const count = tokens.length;
    if (kind === 'writeZeroes') {
      return asynchronous ? channel.writeZeroes(handle, first, count) : channel.writeZeroesSync(handle, first, count);
    }
    const bytes = bytesOfTokens(tokens, this.#unitBytes);
    if (kind === 'writev') {
      const cut = (first * 97) % bytes.length;
      const list = [bytes.subarray(0, cut), bytes.subarray(cut)];
      return asynchronous ? channel.writev(handle, list, first, count) : channel.writevSync(handle, list, first, count);
    }
    const shifted = new Uint8Array(bytes.length + this.#unitBytes);
    shifted.set(bytes, this.#unitBytes);
    if (asynchronous) return channel.write(handle, shifted, first, count, this.#unitBytes);
    channel.writeSync(handle, shifted, first, count, this.#unitBytes);
  }

  async #readSome(blob: ModelBlob, handle: Blob, first: number, count: number, way: number): Promise<void> {
    const { asynchronous } = this.#config;
    const channel = this.#channel;
    const bytes = new Uint8Array(count * this.#unitBytes + 8).fill(0xee);
    if (way === 0) {
      const middle = Math.floor((count * this.#unitBytes) / 3);
      const list = [bytes.subarray(4, 4 + middle), bytes.subarray(4 + middle, bytes.length - 4)];
      if (asynchronous) await channel.readv(handle, list, first, count);
      else channel.readvSync(handle, list, first, count);
    } else if (asynchronous) await channel.read(handle, bytes, first, count, 4);
    else channel.readSync(handle, bytes, first, count, 4);
    requireSame(
      'margin',
      [...bytes.subarray(0, 4), ...bytes.subarray(-4)].every((byte) => byte === 0xee),
      true,
    );
    const found = tokensOfBytes(bytes.subarray(4, bytes.length - 4), this.#unitBytes);
    requireSame('content', found.join(), blob.units.slice(first, first + count).join());
  }

  async #unmap(blob: ModelBlob, handle: Blob, first: number, count: number): Promise<void> {
    const action = async () => {
      if (this.#config.asynchronous) await this.#channel.unmap(handle, first, count);
      else this.#channel.unmapSync(handle, first, count);
    };
    if ((await this.#answer(action, [blob.readOnly ? 'EPERM' : undefined])) !== undefined) return;
    const perCluster = this.#unitsPerCluster;
    for (let unit = first; unit < first + count; unit++) {
      if (blob.allocated.has(Math.floor(unit / perCluster))) blob.set(unit, 0, this.#survivesCrash);
    }
    if (!blob.thin || blob.parent) return;
    for (let cluster = Math.ceil(first / perCluster); (cluster + 1) * perCluster <= first + count; cluster++) {
      blob.allocated.delete(cluster);
    }
  }

  async #snapshot(blob: ModelBlob): Promise<void> {
    if (this.#blobs.size >= this.#config.blobsMax) return;
    let id = 0n;
    const action = async () => {
      id = await run(this.#store.createSnapshot(blob.id));
    };
    if ((await this.#answer(action, blob.readOnly ? ['EINVAL'] : [undefined, ...FULL])) !== undefined) return;
    blob.synced();
    const { clusterCount, thin, parent, allocated, units } = blob;
    blob.parent = this.#add({ id, clusterCount, thin, parent, allocated, units }, true);
    blob.thin = true;
    blob.allocated = new Set();
  }

  async #clone(blob: ModelBlob): Promise<void> {
    if (this.#blobs.size >= this.#config.blobsMax) return;
    let id = 0n;
    const action = async () => {
      id = await run(this.#store.createClone(blob.id));
    };
    if ((await this.#answer(action, blob.readOnly ? [undefined, ...FULL] : ['EINVAL'])) !== undefined) return;
    this.#add({ id, clusterCount: blob.clusterCount, thin: true, parent: blob, allocated: [], units: blob.units });
  }

  async #inflate(blob: ModelBlob): Promise<void> {
    const action = () => run(this.#store.inflateBlob(this.#channel, blob.id));
    const code = await this.#answer(action, [undefined, 'ENOSPC']);
    if (code !== undefined) return this.#adoptAllocation(blob);
    if (!blob.thin) return;
    blob.thin = false;
    blob.parent = undefined;
    blob.allocated = new Set(Array.from({ length: blob.clusterCount }, (_, index) => index));
    blob.synced();
  }

  async #decouple(blob: ModelBlob): Promise<void> {
    const { parent } = blob;
    const action = () => run(this.#store.decoupleBlob(this.#channel, blob.id));
    const code = await this.#answer(action, parent ? [undefined, 'ENOSPC'] : ['EINVAL']);
    if (code !== undefined || !parent) return this.#adoptAllocation(blob);
    this.#takeOver(blob, parent);
  }

  /** Takes over the clusters that an operation has allocated before it failed. */
  async #adoptAllocation(blob: ModelBlob): Promise<void> {
    blob.adoptPartial(0, [], this.#allocationOf(await this.#open(blob)), []);
  }

  async #resize(blob: ModelBlob, clusterCount: number): Promise<void> {
    const handle = await this.#open(blob);
    const before = blob.clusterCount;
    const isRoom = blob.thin || clusterCount - before <= this.#store.freeClusterCount;
    const action = () => run(this.#store.resizeBlob(handle, clusterCount));
    const codes = blob.readOnly ? ['EPERM'] : [undefined, ...(isRoom && this.#config.mdPageCount > 100 ? [] : FULL)];
    if ((await this.#answer(action, codes)) !== undefined) return;
    blob.resize(clusterCount);
    if (clusterCount > before) blob.adoptGrown(before, this.#allocationOf(handle), await this.#readAll(handle));
  }

  async #delete(blob: ModelBlob): Promise<void> {
    await this.#close(blob);
    const clones = this.#clonesOf(blob);
    const action = () => run(this.#store.deleteBlob(blob.id));
    const [clone] = clones;
    const soleCodes = clone && (await this.#mapAlike(clone, blob)) ? [undefined, ...FULL] : ['ENOTSUP', ...FULL];
    const codes = clones.length > 1 ? ['EBUSY'] : clone ? soleCodes : [undefined];
    const code = await this.#answer(action, codes);
    if (code !== undefined) return clone && clones.length === 1 ? this.#adoptAllocation(clone) : undefined;
    this.#blobs.delete(blob.id);
    if (clone) this.#takeOver(clone, blob);
  }

  /**
   * False if one of the blobs maps its clusters by extent pages and the other by runs. As in the reference, a blob
   * without clusters whose xattrs leave no room for an extent table has runs when it is opened again.
   */
  async #mapAlike(clone: ModelBlob, snapshot: ModelBlob): Promise<boolean> {
    if (clone.clusterCount === 0 || snapshot.clusterCount === 0) return true;
    return (await this.#usesExtentTable(clone)) === (await this.#usesExtentTable(snapshot));
  }

  async #usesExtentTable(blob: ModelBlob): Promise<boolean> {
    const held = this.#handles.get(blob.id); // used if there is one, since closing another handle would sync the blob
    if (held) return held.usesExtentTable;
    const opened = await run(this.#store.openBlob(blob.id));
    await run(this.#store.closeBlob(opened));
    return opened.usesExtentTable;
  }

  /** Gives a clone the clusters and the parent of its snapshot, which is deleted. */
  #takeOver(clone: ModelBlob, snapshot: ModelBlob): void {
    for (const cluster of snapshot.allocated) if (cluster < clone.clusterCount) clone.allocated.add(cluster);
    this.#coverPastEnd(clone, snapshot);
    clone.parent = snapshot.parent;
    clone.synced();
  }

  /** Past a snapshot's end, the clone gets clusters of zeroes of its own where the snapshot's parent has data. */
  #coverPastEnd(clone: ModelBlob, snapshot: ModelBlob): void {
    for (let cluster = snapshot.clusterCount; cluster < clone.clusterCount; cluster++) {
      for (let at = snapshot.parent; at && cluster < at.clusterCount; at = at.parent) {
        if (at.allocated.has(cluster)) clone.allocated.add(cluster);
      }
    }
  }

  async #sync(blob: ModelBlob, how: 'sync' | 'flush'): Promise<void> {
    const handle = await this.#open(blob);
    const action = () => run(how === 'sync' ? this.#store.syncBlob(handle) : this.#store.flushBlob(handle));
    if ((await this.#answer(action, [undefined, 'ENOSPC'])) === undefined) blob.synced();
  }

  async #setXattr(blob: ModelBlob, name: string, bytes: number): Promise<void> {
    const handle = await this.#open(blob);
    const token = this.#nextToken++;
    const value = new Uint8Array(bytes);
    new DataView(value.buffer).setUint32(0, token, true);
    const action = async () => this.#store.setXattr(handle, name, value);
    if ((await this.#answer(action, [blob.readOnly ? 'EPERM' : undefined])) === undefined) blob.setXattr(name, token);
  }

  async #removeXattr(blob: ModelBlob, name: string): Promise<void> {
    const handle = await this.#open(blob);
    const action = async () => this.#store.removeXattr(handle, name);
    const code = blob.readOnly ? 'EPERM' : blob.xattrs.has(name) ? undefined : 'ENOENT';
    if ((await this.#answer(action, [code])) === undefined) blob.setXattr(name, undefined);
  }

  /** Unloads the store and loads it again, from its masks or (`force`) by recovery. Nothing may be lost. */
  async #reload({ force }: { force: boolean }): Promise<void> {
    for (const blob of this.#blobs.values()) {
      const closed = await this.#answer(() => this.#close(blob), [undefined, 'ENOSPC']);
      if (closed !== undefined) return; // the metadata region has no room for its metadata: the blob stays open
    }
    await run(this.#store.closeChannel(this.#channel));
    await run(this.#store.unload());
    await this.#load(force);
    for (const blob of this.#blobs.values()) blob.synced();
    this.#checkFree();
  }

  /** Abandons the store, so that all that is only in memory is lost, and loads it from the device. */
  async #crash(): Promise<void> {
    if (this.#survivesCrash) await this.#syncSizes();
    this.#handles.clear();
    await run(this.#store.abandon());
    await this.#load(false);
    // Snapshots come first, because the data of a clone depends on them.
    for (const blob of this.#parentsFirst()) {
      const handle = await this.#open(blob);
      const units = await this.#readAll(handle);
      blob.adoptCrashed(handle.clusterCount, this.#allocationOf(handle), units, this.#xattrTextOf(handle));
    }
    this.#checkFree();
  }

  /**
   * Syncs the blobs with a changed size before a crash. With `process-crash`, a crash before that sync leaves the data
   * of clusters that the blob lost or got readable for the next owner, as in the specification. The model does not
   * follow that. Only `power-loss` clears these clusters.
   */
  async #syncSizes(): Promise<void> {
    for (const blob of this.#blobs.values()) {
      if (blob.isResized) await this.#sync(blob, 'sync');
    }
  }

  async #load(forceRecover: boolean): Promise<void> {
    const { clusterBytes, durability } = this.#config;
    const found: bigint[] = [];
    const onBlob = ({ id }: { id: bigint }) => found.push(id);
    this.#store = await run(Blobstore.load(this.#attached(), { clusterBytes, durability, forceRecover, onBlob }));
    this.#channel = this.#store.openChannel();
    requireSame('damaged blobs', this.#store.damaged.length, 0);
    requireSame('ids found', idText(found), idText(this.#blobs.keys()));
  }

  #clonesOf(blob: ModelBlob): ModelBlob[] {
    return [...this.#blobs.values()].filter(({ parent }) => parent === blob);
  }

  #parentsFirst(): ModelBlob[] {
    const depth = (blob: ModelBlob): number => (blob.parent ? depth(blob.parent) + 1 : 0);
    return [...this.#blobs.values()].sort((a, b) => depth(a) - depth(b));
  }

  /** Expects that only the clusters of blobs are allocated. Only valid when no cluster waits to be freed. */
  #checkFree(): void {
    let allocated = 0;
    for (const blob of this.#blobs.values()) allocated += blob.allocated.size;
    requireSame('free clusters', this.#store.freeClusterCount, this.#store.dataClusterCount - allocated);
  }

  async #checkAll(): Promise<void> {
    this.#store.verify();
    requireSame('ids', idText(this.#store.blobIds()), idText(this.#blobs.keys()));
    for (const blob of this.#blobs.values()) {
      const held = this.#handles.get(blob.id);
      const handle = held ?? (await run(this.#store.openBlob(blob.id)));
      await this.#check(blob, handle);
      if (!held) await run(this.#store.closeBlob(handle));
    }
  }

  async #check(blob: ModelBlob, handle: Blob): Promise<void> {
    const store = this.#store;
    requireSame('size', handle.clusterCount, blob.clusterCount);
    requireSame('thin', handle.isThin, blob.thin);
    requireSame('read-only', handle.isReadOnly, blob.readOnly);
    requireSame('parent', store.parentOf(blob.id), blob.parent?.id ?? INVALID_BLOB_ID);
    requireSame('clones', idText(store.clonesOf(blob.id)), idText(this.#clonesOf(blob).map(({ id }) => id)));
    requireSame('xattrs', this.#xattrTextOf(handle), blob.xattrText);
    for (let cluster = 0; cluster < handle.clusterCount; cluster++) {
      const isAllocated = handle.clusterAt(cluster) !== 0;
      if (isAllocated !== blob.allocated.has(cluster)) {
        requireSame(`blob ${blob.id}, cluster ${cluster} allocated`, isAllocated, !isAllocated);
      }
    }
    const units = await this.#readAll(handle);
    const wrong = units.findIndex((token, unit) => token !== blob.units[unit]);
    if (wrong >= 0) requireSame(`blob ${blob.id}, unit ${wrong}`, units[wrong], blob.units[wrong]);
  }

  /** For each cluster of a blob, whether it is allocated. */
  #allocationOf(handle: Blob): boolean[] {
    return Array.from({ length: handle.clusterCount }, (_, index) => handle.clusterAt(index) !== 0);
  }

  async #readAll(handle: Blob): Promise<number[]> {
    const count = this.#store.ioUnitCount(handle);
    const bytes = this.#buffer.subarray(0, count * this.#unitBytes).fill(0xee);
    if (this.#config.asynchronous) await this.#channel.read(handle, bytes, 0, count);
    else this.#channel.readSync(handle, bytes, 0, count);
    return tokensOfBytes(bytes, this.#unitBytes);
  }

  #xattrTextOf(handle: Blob): string {
    const entries = this.#store.xattrNames(handle).map((name) => {
      const value = this.#store.getXattr(handle, name);
      return [name, new DataView(value.buffer, value.byteOffset).getUint32(0, true)];
    });
    return JSON.stringify(entries.sort());
  }
}

function idText(ids: Iterable<bigint>): string {
  return [...ids].sort().join();
}
