/** A store on a device that can be told to fail, and its oracle. The methods here change both together. */

import {
  type Blob,
  type BlobId,
  Blobstore,
  type BlockDevice,
  type Channel,
  type ClearMethod,
  type Durability,
  type ExternalSnapshotRequest,
  INVALID_BLOB_ID,
  type LoadOptions,
  runSync,
  type Steps,
  wait,
  type Xattrs,
} from '@blobyard/core';
import { asyncDevice, FaultyDevice, SparseMemoryDevice } from '@blobyard/io';
import { byteStream } from '../conformance/byte-stream.js';
import { Oracle, resized } from './oracle.js';
import { VolatileCache } from './volatile-cache.js';

/** The options with which a store is made. The tests of a scenario run with several of these. */
export interface Configuration {
  readonly durability: Durability;
  readonly useExtentTable: boolean;
  readonly canCopy: boolean;
  readonly blockLengthBytes: number;
  readonly clusterBytes: number;
  readonly clusterCount: number;
  readonly mdPageCount: number;
  readonly isAsynchronous?: boolean;
  /** True: the device has a volatile cache, which loses unflushed writes at a power cut. */
  readonly hasVolatileCache?: boolean;
}

export interface NewBlob {
  clusters: number;
  isThin?: boolean;
  xattrs?: Xattrs;
  clearMethod?: ClearMethod;
  /** For a clone of an external snapshot: the seed of the bytes of this snapshot, which is as long as the blob. */
  externalSeed?: number;
}

export class Yard {
  readonly configuration: Configuration;
  readonly medium: SparseMemoryDevice;
  readonly device: FaultyDevice;
  readonly cache: VolatileCache;
  readonly oracle = new Oracle();
  readonly ids = new Map<string, BlobId>();
  readonly held = new Map<string, Blob>();
  #store: Blobstore | undefined;
  #channel: Channel | undefined;

  constructor(configuration: Configuration) {
    const { blockLengthBytes, canCopy, clusterBytes, clusterCount } = configuration;
    this.configuration = configuration;
    this.medium = new SparseMemoryDevice({ sizeBytes: clusterBytes * clusterCount, blockLengthBytes, canCopy });
    this.cache = new VolatileCache(this.medium);
    this.device = new FaultyDevice(configuration.hasVolatileCache ? this.cache : this.medium);
  }

  get store(): Blobstore {
    if (!this.#store) throw new Error('the yard has no store yet');
    return this.#store;
  }

  get channel(): Channel {
    if (!this.#channel) throw new Error('the yard has no channel yet');
    return this.#channel;
  }

  *init(): Steps<void> {
    const { clusterBytes, mdPageCount } = this.configuration;
    const options = { ...optionsOf(this.configuration), clusterBytes, mdPageCount };
    this.#store = yield* Blobstore.init(this.#storeDevice(), options);
    this.#channel = this.#store.openChannel();
    this.oracle.clusterCount = this.#store.dataClusterCount;
  }

  /** Abandons the store, and loads it from the medium. */
  *reload(): Steps<void> {
    yield* this.store.abandon();
    this.held.clear();
    this.#store = yield* Blobstore.load(this.#storeDevice(), optionsOf(this.configuration));
    this.#channel = this.#store.openChannel();
  }

  /** Unloads the store, whose blobs must be closed, and loads it again. */
  *reopen(): Steps<void> {
    yield* this.store.unload();
    this.#store = yield* Blobstore.load(this.#storeDevice(), optionsOf(this.configuration));
    this.#channel = this.#store.openChannel();
  }

  id(name: string): BlobId {
    const id = this.ids.get(name);
    if (id === undefined) throw new Error(`there is no blob '${name}'`);
    return id;
  }

  blob(name: string): Blob {
    const blob = this.held.get(name);
    if (!blob) throw new Error(`blob '${name}' is not open`);
    return blob;
  }

  bytesOf(clusters: number): number {
    return clusters * this.configuration.clusterBytes;
  }

  *create(name: string, made: NewBlob): Steps<void> {
    this.ids.set(name, yield* this.createOnly(made));
    this.created(this.id(name), made);
  }

  /** Creates a blob in the store only, not in the oracle. */
  createOnly(made: NewBlob): Steps<BlobId> {
    const { clusters: clusterCount, isThin: thin, xattrs, clearMethod, externalSeed } = made;
    const externalSnapshotId =
      externalSeed === undefined ? undefined : Buffer.from(`${externalSeed}:${this.bytesOf(clusterCount)}`);
    const { useExtentTable } = this.configuration;
    return this.store.createBlob({ clusterCount, thin, xattrs, clearMethod, useExtentTable, externalSnapshotId });
  }

  /** Adds a new blob to an oracle. */
  created(id: BlobId, made: NewBlob, oracle = this.oracle): void {
    const bytes = this.bytesOf(made.clusters);
    oracle.blobs.set(id, {
      content: made.externalSeed === undefined ? new Uint8Array(bytes) : stream(made.externalSeed, bytes).slice(),
      xattrs: hexOf(made.xattrs ?? {}),
      parent: undefined,
      isReadOnly: false,
      isThin: (made.isThin ?? false) || made.externalSeed !== undefined,
    });
  }

  *open(name: string): Steps<void> {
    this.held.set(name, yield* this.store.openBlob(this.id(name)));
  }

  *close(name: string): Steps<void> {
    yield* this.store.closeBlob(this.blob(name));
    this.held.delete(name);
  }

  *closeAll(): Steps<void> {
    for (const name of [...this.held.keys()]) yield* this.close(name);
  }

  /** Writes whole clusters of an open blob, in the store and in the oracle. */
  *write(name: string, cluster: number, count: number, seed: number): Steps<void> {
    const { ioUnitsPerCluster } = this.store.geometry;
    yield* this.writeOnly(name, cluster * ioUnitsPerCluster, this.payload(count, seed));
    this.wrote(this.id(name), this.bytesOf(cluster), this.payload(count, seed));
  }

  payload(clusters: number, seed: number): Uint8Array {
    return stream(seed, this.bytesOf(clusters));
  }

  /** Writes in the store only, not in the oracle. */
  *writeOnly(name: string, ioUnit: number, bytes: Uint8Array): Steps<void> {
    const count = bytes.length / this.store.geometry.ioUnitBytes;
    if (this.store.device.synchronous) this.channel.writeSync(this.blob(name), bytes, ioUnit, count);
    else yield* wait(this.channel.write(this.blob(name), bytes, ioUnit, count));
  }

  *unmapOnly(name: string, ioUnit: number, count: number): Steps<void> {
    if (this.store.device.synchronous) this.channel.unmapSync(this.blob(name), ioUnit, count);
    else yield* wait(this.channel.unmap(this.blob(name), ioUnit, count));
  }

  *zeroOnly(name: string, ioUnit: number, count: number): Steps<void> {
    if (this.store.device.synchronous) this.channel.writeZeroesSync(this.blob(name), ioUnit, count);
    else yield* wait(this.channel.writeZeroes(this.blob(name), ioUnit, count));
  }

  /** Writes bytes in an oracle only. */
  wrote(id: BlobId, at: number, bytes: Uint8Array, oracle = this.oracle): void {
    oracle.of(id).content.set(bytes, at);
  }

  *setXattr(name: string, xattr: string, bytes: Uint8Array): Steps<void> {
    this.store.setXattr(this.blob(name), xattr, bytes);
    this.oracle.of(this.id(name)).xattrs.set(xattr, Buffer.from(bytes).toString('hex'));
    yield undefined;
  }

  *resize(name: string, clusters: number): Steps<void> {
    yield* this.store.resizeBlob(this.blob(name), clusters);
    this.wasResized(this.id(name), clusters);
  }

  wasResized(id: BlobId, clusters: number, oracle = this.oracle): void {
    const state = oracle.of(id);
    state.content = resized(state.content, this.bytesOf(clusters));
  }

  *snapshot(name: string, as: string): Steps<void> {
    this.ids.set(as, yield* this.store.createSnapshot(this.id(name)));
    this.wasSnapshot(this.id(name), this.id(as));
  }

  wasSnapshot(id: BlobId, snapshot: BlobId, oracle = this.oracle): void {
    const original = oracle.of(id);
    const content = original.content.slice();
    const { isThin, parent } = original;
    oracle.blobs.set(snapshot, { content, xattrs: new Map(), parent, isReadOnly: true, isThin });
    original.parent = snapshot;
    original.isThin = true;
  }

  *clone(name: string, as: string): Steps<void> {
    this.ids.set(as, yield* this.store.createClone(this.id(name)));
    this.wasCloned(this.id(name), this.id(as));
  }

  wasCloned(id: BlobId, clone: BlobId, oracle = this.oracle): void {
    const content = oracle.of(id).content.slice();
    oracle.blobs.set(clone, { content, xattrs: new Map(), parent: id, isReadOnly: false, isThin: true });
  }

  #storeDevice(): BlockDevice {
    return this.configuration.isAsynchronous ? asyncDevice(this.device, { when: 'microtask' }) : this.device;
  }
}

export function hexOf(xattrs: Xattrs): Map<string, string> {
  return new Map(Object.entries(xattrs).map(([name, value]) => [name, Buffer.from(value).toString('hex')]));
}

/** The options for loading a store, and for initialising one where these are the same. */
export function optionsOf(configuration: Configuration): LoadOptions {
  const { clusterBytes, durability } = configuration;
  return { clusterBytes, durability, openExternalSnapshot, onDamage: 'refuse' };
}

/** Opens an external snapshot: a byte stream. Its id is `SEED:BYTES`. */
function openExternalSnapshot({ snapshotId }: ExternalSnapshotRequest): BlockDevice {
  const [seed, bytes] = Buffer.from(snapshotId).toString('latin1').split(':').map(Number);
  return SparseMemoryDevice.fromBytes(stream(seed, bytes), { blockLengthBytes: 512 });
}

/** Reads the whole state of a store through the engine's API. Opens each blob, and closes it again. */
export function* observe(store: Blobstore): Steps<Oracle> {
  const found = new Oracle();
  const channel = store.openChannel();
  found.clusterCount = store.dataClusterCount;
  for (const id of store.blobIds()) {
    const blob = yield* store.openBlob(id);
    const parent = store.parentOf(id);
    const names = store.xattrNames(blob);
    found.blobs.set(id, {
      content: yield* readAll(store, channel, blob),
      xattrs: hexOf(Object.fromEntries(names.map((name) => [name, store.getXattr(blob, name)]))),
      parent: parent === INVALID_BLOB_ID ? undefined : parent,
      isReadOnly: blob.isReadOnly,
      isThin: blob.isThin,
    });
    yield* store.closeBlob(blob);
  }
  try {
    found.superBlob = store.getSuper();
  } catch {
    found.superBlob = undefined;
  }
  yield* store.closeChannel(channel);
  return found;
}

/** True if a store agrees with an oracle in all that can be read without opening a blob. */
export function looksLike(yard: Yard, oracle: Oracle): boolean {
  const { store } = yard;
  const ids = store.blobIds();
  if (ids.length !== oracle.blobs.size || store.dataClusterCount !== oracle.clusterCount) return false;
  for (const id of ids) {
    const state = oracle.blobs.get(id);
    const parent = store.parentOf(id);
    if (!state || state.parent !== (parent === INVALID_BLOB_ID ? undefined : parent)) return false;
  }
  for (const blob of yard.held.values()) {
    const { content, isReadOnly, isThin, xattrs } = oracle.of(blob.id);
    for (const name of store.xattrNames(blob)) {
      if (xattrs.get(name) !== Buffer.from(store.getXattr(blob, name)).toString('hex')) return false;
    }
    if (blob.isReadOnly !== isReadOnly || blob.isThin !== isThin) return false;
    if (Buffer.compare(runSync(readAll(store, yard.channel, blob)), content) !== 0) return false;
  }
  return true;
}

function* readAll(store: Blobstore, channel: Channel, blob: Blob): Steps<Uint8Array> {
  const count = store.ioUnitCount(blob);
  const bytes = new Uint8Array(count * store.geometry.ioUnitBytes).fill(0xa5);
  if (store.device.synchronous) channel.readSync(blob, bytes, 0, count);
  else yield* wait(channel.read(blob, bytes, 0, count));
  return bytes;
}

const streams = new Map<string, Uint8Array>();

/** The byte stream of a seed. It is shared, so it must not be changed. */
function stream(seed: number, bytes: number): Uint8Array {
  const key = `${seed}:${bytes}`;
  const made = streams.get(key) ?? byteStream(seed, bytes);
  streams.set(key, made);
  return made;
}
