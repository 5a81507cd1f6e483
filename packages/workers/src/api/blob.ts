/**
 * The API of a blob: bytes, streams, snapshots, xattrs. It is the same in each mode of a store: with all work on the
 * calling thread, with I/O threads, and on an attached thread.
 *
 * For all methods: offsets and lengths are bytes, whole numbers from 0. They need no alignment, but whole io units are
 * fastest. Errors are `BlobstoreError`s: EINVAL for invalid arguments, EBADF if the handle or its store is closed, EIO
 * if the device fails. A call that its signal aborts rejects with an AbortError (`AbortableOptions`). A handle may be used only on the thread that opened it.
 */

import type { Readable, Writable } from 'node:stream';
import type { BlobRef, BlockDevice, ClearMethod, Blob as EngineBlob } from '@blobyard/core';
import type { DeviceSpec } from '@blobyard/io';
import type { AbortableOptions } from './abort.js';
import type { CopyOptions, LongWorkOptions } from './long-work.js';

/** Values of xattrs by name. Text is stored as UTF-8. */
export type XattrValues = Readonly<Record<string, string | Uint8Array>>;

/** Options of a new snapshot or clone. */
export interface DerivedBlobOptions extends AbortableOptions {
  /** The name of the new blob, by which the store opens it. EEXIST if another blob of the store has it. */
  readonly name?: string;
  /**
   * The xattrs of the new blob. 'inherit': those of this blob, at the moment of the snapshot or clone; only `name`, and
   * in an lvolstore `uuid`, are each blob's own. Values: those are added, or replace inherited ones. 'none': none of
   * them. Default: 'inherit'.
   */
  readonly xattrs?: 'inherit' | 'none' | XattrValues;
}

/** What can be written: memory of any kind, or text. */
export type BlobData = string | NodeJS.ArrayBufferView | ArrayBufferLike;

/** A new array of bytes: `Uint8Array<ArrayBuffer>`, which versions of TypeScript before 5.7 call `Uint8Array`. */
export type NewBytes = ReturnType<Uint8ArrayConstructor['of']>;

/** How text is written. */
export interface EncodingOptions {
  /** The encoding of data that is text. Default: 'utf8'. */
  readonly encoding?: BufferEncoding;
}

/**
 * The state of a blob at one moment. It is frozen. In JSON, ids are decimal text, and the id of an external snapshot is
 * hexadecimal.
 */
export interface BlobInfo {
  readonly id: bigint;
  readonly name: string | undefined;
  readonly sizeBytes: number;
  /** Bytes of the clusters that the blob itself has allocated. Clusters that it reads from a parent do not count. */
  readonly allocatedBytes: number;
  /** True if the blob allocates each cluster when it is first written. */
  readonly thin: boolean;
  readonly readOnly: boolean;
  /** True if the blob has clones, or has had some since the store was opened. */
  readonly snapshot: boolean;
  /** True if the blob is a clone of a snapshot of this store, or of an external snapshot. */
  readonly clone: boolean;
  /** The id of the snapshot of this store that it is a clone of. Undefined if there is none. */
  readonly parentId: bigint | undefined;
  /** The ids of its clones, in the order in which they became clones of it. */
  readonly clones: readonly bigint[];
  /** The id of the external snapshot that it is a clone of. Undefined if there is none. */
  readonly externalSnapshotId: Uint8Array | undefined;
  /** How clusters that the blob frees are cleared. */
  readonly clearMethod: ClearMethod;
}

export interface ReadStreamOptions {
  /** Offset of the first byte, from 0 to the blob's size. Default: 0. */
  readonly start?: number;
  /** Offset of the last byte, inclusive, as in Node's `fs`. Default: the last byte of the blob. */
  readonly end?: number;
  /** The most bytes of one read, and of data that is read ahead, from 1 to 2^30. Default: 2 MiB. */
  readonly highWaterMark?: number;
  /** Destroys the stream when it is aborted. The error is the same as that of an aborted call. */
  readonly signal?: AbortSignal;
}

/** A stream that reads a blob. Its event `close` comes when no read is under way any more. */
export interface BlobReadable extends Readable {
  /** The bytes that have been read so far, including those that nobody has taken from the stream yet. */
  readonly bytesRead: number;
}

/**
 * A stream that writes to a blob. Its event `close` comes when no write is under way any more: then the memory of the
 * chunks is the caller's again, also after an error or an abort.
 */
export interface BlobWritable extends Writable {
  /** The bytes that have been written so far, from `start` on. After an error, part of the next ones may be written. */
  readonly bytesWritten: number;
}

export interface WriteStreamOptions {
  /** Offset of the first byte, from 0 to the blob's size. Default: 0. */
  readonly start?: number;
  /** Bytes that are buffered before `write` returns false, from 1 to 2^30. Default: 2 MiB. */
  readonly highWaterMark?: number;
  /**
   * True: where the data goes past the end of the blob, the blob is made larger first, by as many clusters as are needed.
   * It is never made smaller: `bytesWritten` says how much the stream has written, and bytes after that in the last
   * cluster read as zeroes. A crash, or an error, can leave a blob that is larger than what was written; what is not
   * written reads as zeroes, too. ENOSPC if the store is full; what came before is written. In a clone that was made
   * smaller before, its snapshot's data is read where this says zeroes (`resize`). Default false: EINVAL.
   */
  readonly grow?: boolean;
  /** True: the stream flushes the blob before it finishes, so that all data is durable. Default: false. */
  readonly flush?: boolean;
  /** Destroys the stream when it is aborted. The error is the same as that of an aborted call. */
  readonly signal?: AbortSignal;
}

/**
 * The xattrs of a blob.
 *
 * Names are text, not empty and without a zero character. Values are bytes; text is stored as UTF-8. Name and value
 * together have at most `XATTR_BYTES_MAX` bytes (EINVAL). A change is on disk when its promise resolves; if the promise
 * rejects, nothing has changed. The xattr `name` is the name of the blob, which is unique in its store (EEXIST).
 *
 * In an lvolstore of SPDK (a store of type LVOLSTORE) `name` and `uuid` are C strings on disk. As text they are set and
 * returned without the final zero byte; as bytes they include it, and a name has at most 64 bytes. There the name of a
 * blob cannot be deleted, and `uuid` must be a valid UUID (EINVAL).
 */
export interface Xattrs {
  /** Returns the value, or undefined if there is no such xattr. */
  get(name: string, options?: AbortableOptions): Promise<Uint8Array | undefined>;
  /** Returns the value decoded as UTF-8, or undefined if there is no such xattr. */
  getText(name: string, options?: AbortableOptions): Promise<string | undefined>;
  /**
   * Sets an xattr.
   * @throws EPERM the blob is read-only; EEXIST another blob has this name; ENOSPC no room in the metadata.
   */
  set(name: string, value: string | Uint8Array, options?: AbortableOptions): Promise<void>;
  /** Sets several xattrs, either all or none, at the cost of setting one. Throws the same errors as `set`. */
  setAll(values: XattrValues, options?: AbortableOptions): Promise<void>;
  /** Deletes an xattr. Returns false if there was none. Throws EPERM if the blob is read-only. */
  delete(name: string, options?: AbortableOptions): Promise<boolean>;
  /** Returns the names, in the order in which they were first set. */
  list(options?: AbortableOptions): Promise<string[]>;
}

/**
 * An open blob. Each `open` returns a handle of its own.
 *
 * On an attached thread, writes to different bytes of one io unit are safe if the same thread makes them. Threads that
 * write to the same io unit must coordinate between themselves. Changes that other threads make to the blob (resizes,
 * snapshots, closing) take effect there at once. Only `name` may be out of date: it is the last name that the metadata
 * thread has sent to that thread. If `close` fails there because of the device, the blob stays open on that thread:
 * call it again, or close the store of that thread.
 */
export interface Blob extends AsyncDisposable, BlobRef {
  /** For JSON: ids are decimal text. */
  toJSON(): object;
  readonly id: bigint;
  readonly name: string | undefined;
  /** The size of the blob now, in bytes; a whole number of clusters. */
  readonly sizeBytes: number;
  /** The id of the snapshot of this store that this blob is a clone of. Undefined if there is none. */
  readonly parent: bigint | undefined;
  readonly isReadOnly: boolean;
  /** True from the call of `close` on, even if closing fails. */
  readonly isClosed: boolean;
  readonly xattrs: Xattrs;
  /**
   * The engine's blob, whose API counts in clusters and io units (see `Store.engine`). Throws EBADF if the handle is
   * closed, ENOTSUP in a store with `threads` and on an attached thread.
   */
  readonly engine: EngineBlob;

  /** Returns the state of the blob. */
  info(options?: AbortableOptions): Promise<BlobInfo>;
  /** Returns the ids of the blob's clones, in the order in which they became clones of it. */
  clones(options?: AbortableOptions): Promise<readonly bigint[]>;

  /**
   * Reads `length` bytes into a new array. Allocating it takes about as long as reading 4 KiB from the page cache.
   * Where that matters, use the other form of `read` with one array for many reads.
   * @throws EINVAL the range exceeds the blob; ENOMEM no array of this length can be allocated.
   */
  read(offset: number, length: number, options?: AbortableOptions): Promise<NewBytes>;
  /** Fills an array with the bytes from `offset` on, and returns it. The array may be in shared memory. */
  read<T extends NodeJS.ArrayBufferView>(offset: number, into: T, options?: AbortableOptions): Promise<T>;
  /** Reads consecutive bytes into several arrays, in their order. */
  readv(offset: number, into: readonly NodeJS.ArrayBufferView[], options?: AbortableOptions): Promise<void>;
  /**
   * Writes all of `data`. Its memory must not change until the promise resolves.
   *
   * Concurrent writes to different bytes are safe, even within one io unit. If concurrent writes overlap, either may
   * win. The winner can differ from cluster to cluster, and within a cluster of more than 2 MiB.
   * @throws EINVAL the range exceeds the blob; EPERM the blob is read-only; ENOSPC no free cluster for a thin blob.
   */
  write(data: BlobData, offset: number, options?: AbortableOptions & EncodingOptions): Promise<void>;
  /** Writes several arrays to consecutive bytes, in their order. Otherwise the same as `write`. */
  writev(data: readonly BlobData[], offset: number, options?: AbortableOptions & EncodingOptions): Promise<void>;
  /** Makes a range of bytes read as zeroes, and allocates its clusters. Throws the same errors as `write`. */
  writeZeroes(offset: number, length: number, options?: AbortableOptions): Promise<void>;
  /**
   * Makes a range of bytes read as zeroes, but only in clusters that the blob itself has allocated. Frees the clusters
   * that the range covers completely, unless data of a parent would then be visible in their place. Clusters that are
   * not allocated stay as they are: in a clone they still show the snapshot's data. Throws the same errors as `write`.
   */
  trim(offset: number, length: number, options?: AbortableOptions): Promise<void>;

  /**
   * Same as `read`, but synchronous. The `…Sync` forms block the calling thread until they are done. They fail with
   * ENOTSUP on an asynchronous device, and with EBUSY if they would have to wait for another operation of this same
   * thread.
   */
  readSync(offset: number, length: number): NewBytes;
  readSync<T extends NodeJS.ArrayBufferView>(offset: number, into: T): T;
  readvSync(offset: number, into: readonly NodeJS.ArrayBufferView[]): void;
  writeSync(data: BlobData, offset: number, options?: EncodingOptions): void;
  writevSync(data: readonly BlobData[], offset: number, options?: EncodingOptions): void;
  writeZeroesSync(offset: number, length: number): void;
  trimSync(offset: number, length: number): void;

  /** Returns a stream that reads a range of the blob. Throws EINVAL for invalid options. */
  createReadStream(options?: ReadStreamOptions): BlobReadable;
  /**
   * Returns a stream that writes to the blob. It does not make the blob larger: data past the end is EINVAL, which
   * destroys the stream. Throws EINVAL for invalid options.
   */
  createWriteStream(options?: WriteStreamOptions): BlobWritable;

  /**
   * Returns the first offset, from `offset` on, in a cluster that the blob itself has allocated. Undefined if there is
   * none.
   */
  nextData(offset: number): number | undefined;
  /**
   * Returns the first offset, from `offset` on, in a cluster that the blob itself has not allocated. Undefined if there
   * is none.
   */
  nextHole(offset: number): number | undefined;

  /**
   * Creates a read-only copy of the blob's current state, without copying data, and opens it. This blob is then a clone
   * of the snapshot. Writes may continue meanwhile; the snapshot contains those that were acknowledged before the call.
   * @throws EINVAL the blob is read-only; EEXIST another blob has the name; ENOMEM, ENOSPC no room in the metadata.
   */
  snapshot(options?: DerivedBlobOptions): Promise<Blob>;
  /**
   * Creates a writable blob that starts with the content of this read-only one, and opens it. Throws EINVAL if this
   * blob is writable.
   */
  clone(options?: DerivedBlobOptions): Promise<Blob>;
  /**
   * Allocates all clusters of a thin blob, so that it no longer depends on a parent. Throws ENOSPC if too few are free.
   */
  inflate(options?: LongWorkOptions): Promise<void>;
  /**
   * Copies into this clone the clusters that its parent itself has allocated. The clone then depends on its parent's
   * parent, or on nothing.
   * @throws EINVAL this blob is not a clone; ENOENT its parent is a clone of an external snapshot: use `inflate`;
   * ENOSPC too few free clusters.
   */
  decouple(options?: LongWorkOptions): Promise<void>;
  /**
   * Copies this read-only blob to another device, which then reads as the blob does, up to the blob's end. Clusters that
   * read as zeroes are not copied: the device is made zeroes there. The copy is durable when the promise resolves, with
   * the number of bytes that were copied. A device that is given by its spec is opened, and closed afterwards.
   * @throws EPERM the blob is writable; EINVAL the device does not fit; EEXIST the device holds a store, including one
   * that an earlier copy wrote there as the content of a blob. `overwrite: true` permits the copy in this case.
   */
  copyTo(device: DeviceSpec | BlockDevice, options?: CopyOptions): Promise<number>;
  /**
   * Changes the size of the blob to `bytes`, rounded up to whole clusters. New bytes read as zeroes, except in a clone
   * that was made smaller before: there they read as in its snapshot.
   * @throws EPERM the blob is read-only; ENOSPC too few free clusters for a thick blob.
   */
  resize(bytes: number, options?: AbortableOptions): Promise<void>;
  /** Makes the blob read-only. This cannot be undone. Does nothing if it is read-only already. */
  setReadOnly(options?: AbortableOptions): Promise<void>;
  /** Writes changed metadata of the blob to the disk. For a thin blob this includes the map of its new clusters. */
  sync(options?: AbortableOptions): Promise<void>;
  /** Makes all acknowledged changes of this blob durable: data and metadata. */
  flush(options?: AbortableOptions): Promise<void>;
  /** Same as `sync`, but blocks the calling thread. For errors see `Store.openSync`. */
  syncSync(): void;
  /** Same as `flush`, but blocks the calling thread. For errors see `Store.openSync`. */
  flushSync(): void;

  /**
   * Closes the handle: new calls fail with EBADF, and calls under way are waited for. A second call returns the same
   * result. If closing fails (EIO, ENOSPC when metadata is written), it can be called again once the cause is removed.
   */
  close(): Promise<void>;
  /** Same as `close`, but blocks the calling thread. EBUSY while calls of this handle are under way. */
  closeSync(): void;
}
