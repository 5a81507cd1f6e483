/** Plays the operations of a trace on an inline engine, and answers each as the traces' reference does. */

import { createHash } from 'node:crypto';
import {
  type Blob,
  Blobstore,
  BlobstoreError,
  bstypeFromText,
  type Channel,
  type ClearMethod,
  dumpStore,
  ERRNO,
  type ErrorCode,
  INVALID_BLOB_ID,
  type LoadedBlob,
  type LoadOptions,
  pageOfBlobId,
  runSync,
  type Xattrs,
} from '@blobyard/core';
import { SparseMemoryDevice } from '@blobyard/io';
import { byteStream } from './byte-stream.js';
import { openByName, streamDevice } from './external-snapshots.js';
import type { Answer, TraceOperation } from './trace.js';

const PAGE_BYTES = 4096;
const CHANNELS_MAX = 4;

type Handler = (this: Session, operation: TraceOperation) => Partial<Answer> | undefined;

/** A blob that the trace has opened, as often as `refs` says. */
interface OpenBlob {
  blob: Blob;
  refs: number;
}

export class Session {
  #device: SparseMemoryDevice | undefined;
  #store: Blobstore | undefined;
  #clusterBytes = 0;
  readonly #ids = new Map<string, bigint>();
  readonly #open = new Map<string, OpenBlob>();
  readonly #channels = new Map<number, Channel>();

  /** Executes one operation. Errors of the engine become its answer; anything else is thrown. */
  execute(operation: TraceOperation): Answer {
    const handler = HANDLERS[operation.op];
    if (!handler) throw new Error(`unknown operation '${operation.op}'`);
    try {
      return { rc: 0, ...handler.call(this, operation) };
    } catch (error) {
      if (error instanceof BlobstoreError) return { rc: error.errno };
      throw error;
    }
  }

  device({ blocklen = 0, blockcnt = 0, copy }: TraceOperation): undefined {
    this.#forget();
    this.#device = new SparseMemoryDevice({
      blockLengthBytes: blocklen,
      sizeBytes: blocklen * blockcnt,
      canCopy: copy ?? false,
    });
  }

  init(operation: TraceOperation): undefined {
    this.#requireNoStore();
    const { cluster_sz: clusterBytes, num_md_pages: mdPageCount, max_channel_ops: channelOpsMax } = operation;
    this.#store = runSync(
      Blobstore.init(this.#requireDevice(), {
        clusterBytes,
        mdPageCount,
        channelOpsMax,
        clearMethod: operation.clear_method as 'unmap' | 'write_zeroes' | 'none' | undefined,
        recordMdPageSize: false,
        ...storeOptions(operation),
      }),
    );
    this.#clusterBytes = this.#store.geometry.clusterBytes;
    this.#ids.clear();
  }

  load(operation: TraceOperation): Partial<Answer> {
    return this.#load(operation, Blobstore.load);
  }

  grow(operation: TraceOperation): Partial<Answer> {
    return this.#load(operation, Blobstore.grow);
  }

  #load(operation: TraceOperation, open: typeof Blobstore.load): Partial<Answer> {
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
    this.#store = runSync(open(this.#requireDevice(), options));
    return operation.iter ? { iter: found.map((id) => this.#nameOf(id)) } : {};
  }

  unload(): undefined {
    this.#end((store) => store.unload());
  }

  destroy(): undefined {
    this.#end((store) => store.destroy());
  }

  #end(how: (store: Blobstore) => ReturnType<Blobstore['unload']>): void {
    const store = this.#requireStore();
    try {
      runSync(how(store));
    } finally {
      if (store.isClosed) this.#forget();
    }
  }

  crash(): undefined {
    if (this.#store) runSync(this.#store.abandon());
    this.#forget();
  }

  resizeDevice({ blockcnt = 0 }: TraceOperation): undefined {
    this.#requireDevice().resize(blockcnt);
  }

  growLive(): undefined {
    runSync(this.#requireStore().growLive());
  }

  corrupt({ offset = 0, hex = '' }: TraceOperation): undefined {
    const device = this.#requireDevice();
    const patch = Buffer.from(hex, 'hex');
    const { blockLengthBytes } = device;
    const first = Math.floor(offset / blockLengthBytes);
    const count = Math.ceil((offset + patch.length) / blockLengthBytes) - first;
    const channel = device.openChannel();
    const blocks = new Uint8Array(count * blockLengthBytes);
    void channel.read(blocks, 0, first, count);
    blocks.set(patch, offset - first * blockLengthBytes);
    void channel.write(blocks, 0, first, count);
    channel.close();
  }

  setSuper({ blob }: TraceOperation): undefined {
    const store = this.#requireStore();
    runSync(store.setSuper(this.#requireId(blob)));
  }

  getSuper(): Partial<Answer> {
    return { blob: this.#nameOf(this.#requireStore().getSuper()) };
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
    const whole = createHash('sha256');
    const metadata = createHash('sha256');
    let at = 0;
    for (const chunk of device.chunks()) {
      whole.update(chunk);
      if (at < metadataBytes) metadata.update(chunk.subarray(0, metadataBytes - at));
      at += chunk.length;
    }
    return { sha256: whole.digest('hex'), md_sha256: metadata.digest('hex') };
  }

  dump(): Partial<Answer> {
    this.#requireNoStore();
    const pieces: string[] = [];
    runSync(dumpStore(this.#requireDevice(), (text) => pieces.push(text)));
    return { text: pieces.join('') };
  }

  create(operation: TraceOperation): Partial<Answer> {
    const store = this.#requireStore();
    this.#requireNewName(operation.as);
    const id = runSync(
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

  open({ blob: name, clear_method: clearMethod }: TraceOperation): undefined {
    const store = this.#requireStore();
    const blob = runSync(
      store.openBlob(this.#requireId(name), { clearMethod: clearMethod as ClearMethod | undefined }),
    );
    const open = this.#open.get(name ?? '');
    if (open) open.refs++;
    else this.#open.set(name ?? '', { blob, refs: 1 });
  }

  close({ blob: name = '' }: TraceOperation): undefined {
    const store = this.#requireStore();
    const open = this.#requireOpen(name);
    runSync(store.closeBlob(open.blob));
    open.refs--;
    if (open.refs === 0) this.#open.delete(name);
  }

  deleteBlob({ blob: name = '' }: TraceOperation): undefined {
    const store = this.#requireStore();
    runSync(store.deleteBlob(this.#requireId(name)));
    this.#ids.delete(name);
  }

  resize({ blob, num_clusters: clusterCount = 0 }: TraceOperation): undefined {
    runSync(this.#requireStore().resizeBlob(this.#requireOpen(blob).blob, clusterCount));
  }

  sync({ blob }: TraceOperation): undefined {
    runSync(this.#requireStore().syncBlob(this.#requireOpen(blob).blob));
  }

  setReadOnly({ blob }: TraceOperation): undefined {
    this.#requireStore().setReadOnly(this.#requireOpen(blob).blob);
  }

  setXattr({ blob, name = '', hex = '' }: TraceOperation): undefined {
    this.#requireStore().setXattr(this.#requireOpen(blob).blob, name, Buffer.from(hex, 'hex'));
  }

  removeXattr({ blob, name = '' }: TraceOperation): undefined {
    this.#requireStore().removeXattr(this.#requireOpen(blob).blob, name);
  }

  getXattr({ blob, name = '' }: TraceOperation): Partial<Answer> {
    const value = this.#requireStore().getXattr(this.#requireOpen(blob).blob, name);
    return { hex: Buffer.from(value).toString('hex') };
  }

  xattrNames({ blob }: TraceOperation): Partial<Answer> {
    return { names: this.#requireStore().xattrNames(this.#requireOpen(blob).blob) };
  }

  snapshot({ blob, as, xattrs }: TraceOperation): Partial<Answer> {
    const store = this.#requireStore();
    this.#requireNewName(as);
    return this.#named(as, runSync(store.createSnapshot(this.#requireId(blob), xattrsOf(xattrs))));
  }

  clone({ blob, as, xattrs }: TraceOperation): Partial<Answer> {
    const store = this.#requireStore();
    this.#requireNewName(as);
    return this.#named(as, runSync(store.createClone(this.#requireId(blob), xattrsOf(xattrs))));
  }

  inflate({ blob }: TraceOperation): undefined {
    runSync(this.#requireStore().inflateBlob(this.#channel(0), this.#requireId(blob)));
  }

  decouple({ blob }: TraceOperation): undefined {
    runSync(this.#requireStore().decoupleBlob(this.#channel(0), this.#requireId(blob)));
  }

  shallowCopy({ blob, blocklen = 0, blockcnt = 0 }: TraceOperation): Partial<Answer> {
    const store = this.#requireStore();
    const target = new SparseMemoryDevice({ blockLengthBytes: blocklen, sizeBytes: blocklen * blockcnt });
    const copied = runSync(store.shallowCopyBlob(this.#requireId(blob), target));
    const hash = createHash('sha256');
    for (const chunk of target.chunks()) hash.update(chunk);
    return { copied, sha256: hash.digest('hex') };
  }

  setEsnapDevice({ blob, seed = 0, blocklen = 0, blockcnt = 0 }: TraceOperation): undefined {
    const store = this.#requireStore();
    runSync(store.setExternalDevice(this.#requireOpen(blob).blob, streamDevice(seed, blocklen, blockcnt)));
  }

  stat({ blob: name }: TraceOperation): Partial<Answer> {
    const store = this.#requireStore();
    const { blob } = this.#requireOpen(name);
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
      parent: parent === INVALID_BLOB_ID ? null : this.#nameOf(parent),
      clones: store.clonesOf(blob.id).map((id) => this.#nameOf(id)),
      esnap_id: esnapId ? Buffer.from(esnapId).toString('hex') : null,
    };
  }

  nextAllocated({ blob, offset = 0 }: TraceOperation): Partial<Answer> {
    return { io_unit: this.#requireStore().nextAllocated(this.#requireOpen(blob).blob, offset) ?? null };
  }

  nextUnallocated({ blob, offset = 0 }: TraceOperation): Partial<Answer> {
    return { io_unit: this.#requireStore().nextUnallocated(this.#requireOpen(blob).blob, offset) ?? null };
  }

  iterate(): Partial<Answer> {
    const store = this.#requireStore();
    const names: string[] = [];
    runSync(store.iterate((blob) => names.push(this.#nameOf(blob.id))));
    return { blobs: names };
  }

  write({ blob, ch, offset = 0, length = 0, seed = 0 }: TraceOperation): undefined {
    const store = this.#requireStore();
    const open = this.#requireOpen(blob);
    const payload = byteStream(seed, length * store.geometry.ioUnitBytes);
    this.#channel(ch).writeSync(open.blob, payload, offset, length);
  }

  writev({ blob, ch, offset = 0, length = 0, seed = 0, iov = [] }: TraceOperation): undefined {
    const store = this.#requireStore();
    const open = this.#requireOpen(blob);
    const payload = byteStream(seed, length * store.geometry.ioUnitBytes);
    const buffers = cut(payload, iov);
    this.#channel(ch).writevSync(open.blob, buffers, offset, length);
  }

  read({ blob, ch, offset = 0, length = 0 }: TraceOperation): Partial<Answer> {
    const store = this.#requireStore();
    const open = this.#requireOpen(blob);
    const buffer = garbage(length * store.geometry.ioUnitBytes);
    this.#channel(ch).readSync(open.blob, buffer, offset, length);
    return { sha256: createHash('sha256').update(buffer).digest('hex') };
  }

  readv({ blob, ch, offset = 0, length = 0, iov = [] }: TraceOperation): Partial<Answer> {
    const store = this.#requireStore();
    const open = this.#requireOpen(blob);
    const buffer = garbage(length * store.geometry.ioUnitBytes);
    this.#channel(ch).readvSync(open.blob, cut(buffer, iov), offset, length);
    return { sha256: createHash('sha256').update(buffer).digest('hex') };
  }

  writeZeroes({ blob, ch, offset = 0, length = 0 }: TraceOperation): undefined {
    const open = this.#requireOpen(blob);
    this.#channel(ch).writeZeroesSync(open.blob, offset, length);
  }

  unmap({ blob, ch, offset = 0, length = 0 }: TraceOperation): undefined {
    const open = this.#requireOpen(blob);
    this.#channel(ch).unmapSync(open.blob, offset, length);
  }

  /** Checks after every operation that pages and clusters add up. */
  verify(): void {
    this.#store?.verify();
  }

  #forget(): void {
    this.#store = undefined;
    this.#open.clear();
    this.#channels.clear();
  }

  #channel(index = 0): Channel {
    if (index >= CHANNELS_MAX) fail('EINVAL'); // as many as the reference's runner has
    let channel = this.#channels.get(index);
    if (!channel) {
      channel = this.#requireStore().openChannel();
      this.#channels.set(index, channel);
    }
    return channel;
  }

  #named(name: string | undefined, id: bigint): Partial<Answer> {
    this.#ids.set(name ?? '', id);
    return { page: pageOfBlobId(id) };
  }

  #nameOf(id: bigint): string {
    for (const [name, known] of this.#ids) if (known === id) return name;
    return `?${pageOfBlobId(id)}`;
  }

  #requireDevice(): SparseMemoryDevice {
    return this.#device ?? fail('EBADF');
  }

  #requireStore(): Blobstore {
    return this.#store ?? fail('EBADF');
  }

  #requireNoStore(): void {
    if (this.#store) fail('EBUSY');
  }

  #requireNewName(name: string | undefined): void {
    if (this.#ids.has(name ?? '')) fail('EEXIST');
  }

  #requireId(name: string | undefined): bigint {
    return this.#ids.get(name ?? '') ?? fail('EBADF');
  }

  #requireOpen(name: string | undefined): OpenBlob {
    return this.#open.get(name ?? '') ?? fail('EBADF');
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
  write: Session.prototype.write,
  read: Session.prototype.read,
  writev: Session.prototype.writev,
  readv: Session.prototype.readv,
  write_zeroes: Session.prototype.writeZeroes,
  unmap: Session.prototype.unmap,
};

function storeOptions(operation: TraceOperation): Partial<LoadOptions> {
  return {
    bstype: operation.bstype === undefined ? undefined : bstypeFromText(operation.bstype),
    openExternalSnapshot: operation.esnap ? openByName : undefined,
    durability: 'process-crash',
  };
}

function xattrsOf(hexByName: Record<string, string> | undefined): Xattrs | undefined {
  if (!hexByName) return undefined;
  return Object.fromEntries(Object.entries(hexByName).map(([name, hex]) => [name, Buffer.from(hex, 'hex')]));
}

/** A buffer that does not look as if it had been read already. */
function garbage(bytes: number): Uint8Array {
  return new Uint8Array(bytes).fill(0xa5);
}

function cut(bytes: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  let at = 0;
  const parts = lengths.map((length) => {
    at += length;
    return bytes.subarray(at - length, at);
  });
  if (at !== bytes.length) fail('EINVAL');
  return parts;
}

function fail(code: ErrorCode): never {
  throw new BlobstoreError(code, `the trace asks for what is answered with ${code} (${-ERRNO[code]})`);
}
