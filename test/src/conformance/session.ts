/** Plays the operations of a trace on an engine, with answers in the form of the traces' reference. */

import {
  Blobstore,
  BlobstoreError,
  bstypeFromText,
  type ClearMethod,
  dumpStore,
  INVALID_BLOB_ID,
  type LoadedBlob,
  type LoadOptions,
  type MaybePromise,
  pageOfBlobId,
  type Steps,
  type Xattrs,
} from '@blobyard/core';
import { SparseMemoryDevice } from '@blobyard/io';
import { requireSound } from '../check/require-sound.js';
import { BlobNames, fail } from './blob-names.js';
import { DATA_OPERATIONS, dataOperationOf } from './data-operation.js';
import type { Engine, StoreChannels } from './engine.js';
import { openByName, openDevice } from './external-snapshots.js';
import type { Answer, TraceOperation } from './trace.js';
import { imageHashes, patchDevice, type TraceDevice } from './trace-device.js';

const PAGE_BYTES = 4096;
const CHANNELS_MAX = 4;

type HandlerAnswer = Partial<Answer> | undefined;
type Handler = (this: Session, operation: TraceOperation) => HandlerAnswer | Promise<HandlerAnswer>;

/** Operations after which the device is checked. */
const CHECKED_AFTER = ['image', 'unload', 'crash'];

export class Session {
  readonly #engine: Engine;
  readonly #deviceBytesMax: number;
  #device: TraceDevice | undefined;
  #store: Blobstore | undefined;
  #channels: StoreChannels | undefined;
  #clusterBytes = 0;
  readonly #blobs = new BlobNames();

  /** @param deviceBytesMax - the largest size in bytes that the trace will give its device */
  constructor(engine: Engine, deviceBytesMax: number) {
    this.#engine = engine;
    this.#deviceBytesMax = deviceBytesMax;
  }

  /** Executes one operation. A `BlobstoreError` becomes its answer; any other error is thrown. */
  async execute(operation: TraceOperation): Promise<Answer> {
    const handler = HANDLERS[operation.op];
    if (!handler) throw new Error(`unknown operation '${operation.op}'`);
    try {
      return { rc: 0, ...(await handler.call(this, operation)) };
    } catch (error) {
      if (error instanceof BlobstoreError) return { rc: error.errno };
      throw error;
    }
  }

  /** Abandons the store, if there is one. */
  end(): Promise<undefined> {
    return this.crash();
  }

  async device({ blocklen = 0, blockcnt = 0, copy }: TraceOperation): Promise<undefined> {
    await this.#forget();
    this.#device = this.#engine.createDevice({
      blockLengthBytes: blocklen,
      sizeBytes: blocklen * blockcnt,
      maxSizeBytes: this.#deviceBytesMax,
      canCopy: copy ?? false,
    });
  }

  async init(operation: TraceOperation): Promise<undefined> {
    this.#requireNoStore();
    const { cluster_sz: clusterBytes, num_md_pages: mdPageCount, max_channel_ops: channelOpsMax } = operation;
    const store = await this.#run(
      Blobstore.init(this.#requireDevice(), {
        clusterBytes,
        mdPageCount,
        channelOpsMax,
        clearMethod: operation.clear_method as 'unmap' | 'write_zeroes' | 'none' | undefined,
        recordMdPageSize: false,
        ...storeOptions(operation),
      }),
    );
    this.#opened(store);
    this.#clusterBytes = store.geometry.clusterBytes;
    this.#blobs.clear();
  }

  load(operation: TraceOperation): Promise<Partial<Answer>> {
    return this.#load(operation, Blobstore.load);
  }

  grow(operation: TraceOperation): Promise<Partial<Answer>> {
    return this.#load(operation, Blobstore.grow);
  }

  async #load(operation: TraceOperation, open: typeof Blobstore.load): Promise<Partial<Answer>> {
    this.#requireNoStore();
    const found: bigint[] = [];
    const pagesPerCluster = this.#clusterBytes / PAGE_BYTES;
    const isPowerOfTwo = Number.isInteger(Math.log2(pagesPerCluster));
    const options: LoadOptions = {
      ...storeOptions(operation),
      clusterBytes: operation.cluster_sz ?? (isPowerOfTwo ? undefined : this.#clusterBytes),
      forceRecover: operation.force_recover,
      channelOpsMax: operation.max_channel_ops,
      onBlob: (blob: LoadedBlob) => found.push(blob.id),
    };
    this.#opened(await this.#run(open(this.#requireDevice(), options)));
    return operation.iter ? { iter: found.map((id) => this.#blobs.nameOf(id)) } : {};
  }

  unload(): Promise<undefined> {
    return this.#end((store) => store.unload());
  }

  destroy(): Promise<undefined> {
    return this.#end((store) => store.destroy());
  }

  async #end(how: (store: Blobstore) => Steps<void>): Promise<undefined> {
    const store = this.#requireStore();
    try {
      await this.#run(how(store));
    } finally {
      if (store.isClosed) await this.#forget();
    }
  }

  async crash(): Promise<undefined> {
    if (this.#store) await this.#run(this.#store.abandon());
    await this.#forget();
  }

  resizeDevice({ blockcnt = 0 }: TraceOperation): undefined {
    this.#requireDevice().resize(blockcnt);
  }

  async growLive(): Promise<undefined> {
    await this.#run(this.#requireStore().growLive());
  }

  corrupt({ offset = 0, hex = '' }: TraceOperation): undefined {
    patchDevice(this.#requireDevice(), offset, Buffer.from(hex, 'hex'));
  }

  async setSuper({ blob }: TraceOperation): Promise<undefined> {
    const store = this.#requireStore();
    await this.#run(store.setSuper(this.#blobs.requireId(blob)));
  }

  getSuper(): Partial<Answer> {
    return { blob: this.#blobs.nameOf(this.#requireStore().getSuper()) };
  }

  storeStat(): Partial<Answer> {
    const store = this.#requireStore();
    return {
      free_clusters: store.freeClusterCount,
      total_data_clusters: store.dataClusterCount,
      cluster_size: store.geometry.clusterBytes,
      page_size: store.pageBytes,
      io_unit_size: store.geometry.ioUnitBytes,
      bstype: store.bstype,
    };
  }

  image(): Partial<Answer> {
    const device = this.#requireDevice();
    const total = device.blockCount * device.blockLengthBytes;
    const geometry = this.#store?.geometry;
    const metadataBytes = geometry ? geometry.metadataClusterCount() * geometry.clusterBytes : total;
    const { whole, prefix } = imageHashes(device, Math.min(metadataBytes, total));
    return { sha256: whole, md_sha256: prefix };
  }

  async dump(): Promise<Partial<Answer>> {
    this.#requireNoStore();
    const pieces: string[] = [];
    await this.#run(dumpStore(this.#requireDevice(), (text) => pieces.push(text)));
    return { text: pieces.join('') };
  }

  async create(operation: TraceOperation): Promise<Partial<Answer>> {
    const store = this.#requireStore();
    this.#blobs.requireNew(operation.as);
    const id = await this.#run(
      store.createBlob({
        clusterCount: operation.num_clusters,
        thin: operation.thin,
        clearMethod: operation.clear_method as ClearMethod | undefined,
        useExtentTable: operation.use_extent_table,
        xattrs: xattrsOf(operation.xattrs),
        externalSnapshotId: operation.esnap_id === undefined ? undefined : Buffer.from(operation.esnap_id, 'hex'),
      }),
    );
    return this.#named(operation.as, id);
  }

  async open({ blob: name, clear_method: clearMethod }: TraceOperation): Promise<undefined> {
    const store = this.#requireStore();
    const blob = await this.#run(
      store.openBlob(this.#blobs.requireId(name), { clearMethod: clearMethod as ClearMethod | undefined }),
    );
    this.#blobs.opened(name, blob);
  }

  async close({ blob: name = '' }: TraceOperation): Promise<undefined> {
    const store = this.#requireStore();
    await this.#run(store.closeBlob(this.#blobs.requireOpen(name)));
    this.#blobs.closed(name);
  }

  async deleteBlob({ blob: name = '' }: TraceOperation): Promise<undefined> {
    const store = this.#requireStore();
    await this.#run(store.deleteBlob(this.#blobs.requireId(name)));
    this.#blobs.remove(name);
  }

  async resize({ blob, num_clusters: clusterCount = 0 }: TraceOperation): Promise<undefined> {
    await this.#run(this.#requireStore().resizeBlob(this.#blobs.requireOpen(blob), clusterCount));
  }

  async sync({ blob }: TraceOperation): Promise<undefined> {
    await this.#run(this.#requireStore().syncBlob(this.#blobs.requireOpen(blob)));
  }

  setReadOnly({ blob }: TraceOperation): undefined {
    this.#requireStore().setReadOnly(this.#blobs.requireOpen(blob));
  }

  setXattr({ blob, name = '', hex = '' }: TraceOperation): undefined {
    this.#requireStore().setXattr(this.#blobs.requireOpen(blob), name, Buffer.from(hex, 'hex'));
  }

  removeXattr({ blob, name = '' }: TraceOperation): undefined {
    this.#requireStore().removeXattr(this.#blobs.requireOpen(blob), name);
  }

  getXattr({ blob, name = '' }: TraceOperation): Partial<Answer> {
    const value = this.#requireStore().getXattr(this.#blobs.requireOpen(blob), name);
    return { hex: Buffer.from(value).toString('hex') };
  }

  xattrNames({ blob }: TraceOperation): Partial<Answer> {
    return { names: this.#requireStore().xattrNames(this.#blobs.requireOpen(blob)) };
  }

  async snapshot({ blob, as, xattrs }: TraceOperation): Promise<Partial<Answer>> {
    const store = this.#requireStore();
    this.#blobs.requireNew(as);
    return this.#named(as, await this.#run(store.createSnapshot(this.#blobs.requireId(blob), xattrsOf(xattrs))));
  }

  async clone({ blob, as, xattrs }: TraceOperation): Promise<Partial<Answer>> {
    const store = this.#requireStore();
    this.#blobs.requireNew(as);
    return this.#named(as, await this.#run(store.createClone(this.#blobs.requireId(blob), xattrsOf(xattrs))));
  }

  async inflate({ blob }: TraceOperation): Promise<undefined> {
    await this.#run(this.#requireStore().inflateBlob(this.#requireChannels().local(), this.#blobs.requireId(blob)));
  }

  async decouple({ blob }: TraceOperation): Promise<undefined> {
    await this.#run(this.#requireStore().decoupleBlob(this.#requireChannels().local(), this.#blobs.requireId(blob)));
  }

  async shallowCopy({ blob, blocklen = 0, blockcnt = 0 }: TraceOperation): Promise<Partial<Answer>> {
    const store = this.#requireStore();
    const target = new SparseMemoryDevice({ blockLengthBytes: blocklen, sizeBytes: blocklen * blockcnt });
    const copied = await this.#run(store.shallowCopyBlob(this.#blobs.requireId(blob), target));
    return { copied, sha256: imageHashes(target, 0).whole };
  }

  async setEsnapDevice({ blob, seed = 0, blocklen = 0, blockcnt = 0 }: TraceOperation): Promise<undefined> {
    const store = this.#requireStore();
    const device = openDevice({ seed, blockLengthBytes: blocklen, blockCount: blockcnt });
    await this.#run(store.setExternalDevice(this.#blobs.requireOpen(blob), device));
  }

  stat({ blob: name }: TraceOperation): Partial<Answer> {
    const store = this.#requireStore();
    const blob = this.#blobs.requireOpen(name);
    const parent = store.parentOf(blob.id);
    const esnapId = store.externalSnapshotId(blob);
    return {
      num_clusters: blob.clusterCount,
      num_allocated_clusters: blob.map.allocatedCount,
      num_pages: blob.clusterCount * store.geometry.pagesPerCluster,
      num_io_units: store.ioUnitCount(blob),
      read_only: blob.isReadOnly,
      snapshot: store.isSnapshot(blob.id),
      clone: blob.isClone,
      thin: blob.isThin,
      esnap_clone: blob.isExternalClone,
      parent: parent === INVALID_BLOB_ID ? null : this.#blobs.nameOf(parent),
      clones: store.clonesOf(blob.id).map((id) => this.#blobs.nameOf(id)),
      esnap_id: esnapId ? Buffer.from(esnapId).toString('hex') : null,
    };
  }

  nextAllocated({ blob, offset = 0 }: TraceOperation): Partial<Answer> {
    return { io_unit: this.#requireStore().nextAllocated(this.#blobs.requireOpen(blob), offset) ?? null };
  }

  nextUnallocated({ blob, offset = 0 }: TraceOperation): Partial<Answer> {
    return { io_unit: this.#requireStore().nextUnallocated(this.#blobs.requireOpen(blob), offset) ?? null };
  }

  async iterate(): Promise<Partial<Answer>> {
    const store = this.#requireStore();
    const names: string[] = [];
    await this.#run(store.iterate((blob) => names.push(this.#blobs.nameOf(blob.id))));
    return { blobs: names };
  }

  transfer(operation: TraceOperation): Promise<Partial<Answer>> {
    const blob = this.#blobs.requireOpen(operation.blob);
    const { ch = 0 } = operation;
    if (ch >= CHANNELS_MAX) fail('EINVAL'); // the reference runner has only this many
    return this.#requireChannels().execute(ch, blob, dataOperationOf(operation));
  }

  /**
   * Checks that pages and clusters are consistent in memory and, after the operations in `CHECKED_AFTER`, on the
   * device.
   */
  async verify(op: string): Promise<void> {
    this.#store?.verify();
    if (!CHECKED_AFTER.includes(op) || this.#device === undefined) return;
    await this.#run(requireSound(this.#device, `after ${op}`, ['super-block'])); // a trace may destroy its store
  }

  #run<T>(steps: Steps<T>): MaybePromise<T> {
    return this.#engine.run(steps);
  }

  #opened(store: Blobstore): void {
    this.#store = store;
    this.#channels = this.#engine.channelsOf(store, this.#requireDevice());
  }

  async #forget(): Promise<void> {
    const channels = this.#channels;
    this.#store = undefined;
    this.#channels = undefined;
    this.#blobs.forgetOpen();
    await channels?.close();
  }

  #named(name: string | undefined, id: bigint): Partial<Answer> {
    this.#blobs.add(name, id);
    return { page: pageOfBlobId(id) };
  }

  #requireDevice(): TraceDevice {
    return this.#device ?? fail('EBADF');
  }

  #requireStore(): Blobstore {
    return this.#store ?? fail('EBADF');
  }

  #requireChannels(): StoreChannels {
    return this.#channels ?? fail('EBADF');
  }

  #requireNoStore(): void {
    if (this.#store) fail('EBUSY');
  }
}

const HANDLERS: Record<string, Handler> = {
  device: Session.prototype.device,
  init: Session.prototype.init,
  load: Session.prototype.load,
  grow: Session.prototype.grow,
  unload: Session.prototype.unload,
  destroy: Session.prototype.destroy,
  crash: Session.prototype.crash,
  resize_device: Session.prototype.resizeDevice,
  grow_live: Session.prototype.growLive,
  corrupt: Session.prototype.corrupt,
  set_super: Session.prototype.setSuper,
  get_super: Session.prototype.getSuper,
  bsstat: Session.prototype.storeStat,
  image: Session.prototype.image,
  dump: Session.prototype.dump,
  create: Session.prototype.create,
  open: Session.prototype.open,
  close: Session.prototype.close,
  delete: Session.prototype.deleteBlob,
  resize: Session.prototype.resize,
  sync: Session.prototype.sync,
  set_read_only: Session.prototype.setReadOnly,
  set_xattr: Session.prototype.setXattr,
  remove_xattr: Session.prototype.removeXattr,
  get_xattr: Session.prototype.getXattr,
  xattr_names: Session.prototype.xattrNames,
  snapshot: Session.prototype.snapshot,
  clone: Session.prototype.clone,
  inflate: Session.prototype.inflate,
  decouple: Session.prototype.decouple,
  shallow_copy: Session.prototype.shallowCopy,
  set_esnap_dev: Session.prototype.setEsnapDevice,
  stat: Session.prototype.stat,
  next_allocated: Session.prototype.nextAllocated,
  next_unallocated: Session.prototype.nextUnallocated,
  iter: Session.prototype.iterate,
  ...Object.fromEntries(DATA_OPERATIONS.map((op) => [op, Session.prototype.transfer])),
};

function storeOptions(operation: TraceOperation): Partial<LoadOptions> {
  return {
    bstype: operation.bstype === undefined ? undefined : bstypeFromText(operation.bstype),
    openExternalSnapshot: operation.esnap ? openByName : undefined,
    durability: 'process-crash',
    highWater: false, // the images are compared
  };
}

function xattrsOf(hexByName: Record<string, string> | undefined): Xattrs | undefined {
  if (!hexByName) return undefined;
  return Object.fromEntries(Object.entries(hexByName).map(([name, hex]) => [name, Buffer.from(hex, 'hex')]));
}
