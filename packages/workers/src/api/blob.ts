/**
 * A blob as its users see it: bytes, streams, snapshots, xattrs. Where a blob lives (on this thread or behind others) is
 * another matter: each mode of a store brings its own implementation of these interfaces.
 *
 * What holds for all methods: offsets and lengths are bytes, whole numbers from 0; they need no alignment, but whole io
 * units are fastest. Errors are `BlobstoreError`s: EINVAL for arguments that cannot be, EBADF once the handle or its store
 * is closed, EIO of the device. A handle belongs to the thread that opened it.
 */

import type { Readable, Writable } from 'node:stream';
import type { BlockDevice, ClearMethod, Blob as EngineBlob } from '@blobyard/core';
import type { DeviceSpec } from '@blobyard/io';
import type { CopyOptions, LongWorkOptions } from './long-work.js';

/** Values of xattrs by name; text is kept as UTF-8. */
export type XattrValues = Readonly<Record<string, string | Uint8Array>>;

/** What a new snapshot or clone is given. */
export interface DerivedBlobOptions {
  /** A name by which the store opens it; no other blob of the store may have it (EEXIST). */
  readonly name?: string;
  readonly xattrs?: XattrValues;
}

/** What is known about a blob at one moment. */
export interface BlobInfo {
  readonly id: bigint;
  readonly name: string | undefined;
  readonly sizeBytes: number;
  /** Bytes of clusters that the blob has itself; what it reads through to belongs to others. */
  readonly allocatedBytes: number;
  /** Takes clusters when they are first written. */
  readonly thin: boolean;
  readonly readOnly: boolean;
  /** Others are clones of it, or were since the store was opened. */
  readonly snapshot: boolean;
  /** Reads through to a snapshot, of this store or from outside. */
  readonly clone: boolean;
  /** The snapshot of this store that it is a clone of. */
  readonly parentId: bigint | undefined;
  /** Its clones, in the order in which they became so. */
  readonly clones: readonly bigint[];
  /** The id of the snapshot outside the store that it is a clone of. */
  readonly externalSnapshotId: Uint8Array | undefined;
  /** How the clusters that it gives back are cleared. */
  readonly clearMethod: ClearMethod;
}

export interface ReadStreamOptions {
  /** First byte; 0 unless given. */
  readonly start?: number;
  /** Last byte, itself included, as in Node's `fs`; the blob's last unless given. */
  readonly end?: number;
  /** Bytes that are read at once and ahead, from 1; 256 KiB unless given. */
  readonly highWaterMark?: number;
  /** Destroys the stream. */
  readonly signal?: AbortSignal;
}

export interface WriteStreamOptions {
  /** Where the first byte goes; 0 unless given. */
  readonly start?: number;
  /** Bytes that are kept waiting before `write` answers false, from 1; 256 KiB unless given. */
  readonly highWaterMark?: number;
  /** Makes everything durable before the stream finishes. False unless given. */
  readonly flush?: boolean;
  /** Destroys the stream. */
  readonly signal?: AbortSignal;
}

/**
 * The xattrs of a blob. Names are text, not empty and without a zero character; values are bytes, and text on request. Name
 * and value together have at most `XATTR_BYTES_MAX` bytes (EINVAL). What changes is on disk when the promise resolves;
 * when it rejects, nothing has changed. The xattr `name` is the blob's name, unique in its store (EEXIST).
 *
 * In an lvolstore of SPDK's (a store of type LVOLSTORE) `name` and `uuid` are C strings. Text is given and got without the zero byte,
 * bytes have it: a name 64 of them at most. A blob's name cannot be taken away there, and a uuid must be one (EINVAL).
 */
export interface Xattrs {
  /** The value; undefined when there is no such xattr. */
  get(name: string): Promise<Uint8Array | undefined>;
  /** The value read as UTF-8; undefined when there is no such xattr. */
  getText(name: string): Promise<string | undefined>;
  /** Throws EPERM when the blob is read-only, EEXIST for a name that is taken, ENOSPC without room in the metadata. */
  set(name: string, value: string | Uint8Array): Promise<void>;
  /** Sets several at the price of one; all or none. Throws as `set`. */
  setAll(values: XattrValues): Promise<void>;
  /** Answers whether it was there. Throws EPERM when the blob is read-only. */
  delete(name: string): Promise<boolean>;
  /** Names in the order in which they were first set. */
  list(): Promise<string[]>;
}

export interface Blob extends AsyncDisposable {
  readonly id: bigint;
  readonly name: string | undefined;
  /** Bytes in the blob now: whole clusters. */
  readonly sizeBytes: number;
  /** The snapshot of this store that this blob is a clone of; undefined when there is none. */
  readonly parent: bigint | undefined;
  readonly isReadOnly: boolean;
  readonly isClosed: boolean;
  readonly xattrs: Xattrs;
  /** The engine's own blob, for its API in clusters and io units; see `Store.engine`. Throws EBADF when closed. */
  readonly engine: EngineBlob;

  info(): Promise<BlobInfo>;
  /** Ids of the blob's clones, in the order in which they became so. */
  clones(): Promise<readonly bigint[]>;

  /** Reads `length` bytes into a new array. Throws EINVAL past the blob's end, ENOMEM when there is no such array. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Fills an array, in whatever memory it is, and answers it. */
  read(offset: number, into: Uint8Array): Promise<Uint8Array>;
  /** Fills arrays one after another. */
  readv(offset: number, into: readonly Uint8Array[]): Promise<void>;
  /**
   * Writes all of `data`, which must not change until the promise resolves. Writes to different bytes never disturb each
   * other, however close they are; of writes to the same bytes at once either may win, cluster by cluster, or in parts of one
   * where clusters have more than 2 MiB. Throws EINVAL past the blob's end, EPERM read-only, ENOSPC when a thin blob gets no
   * cluster.
   */
  write(data: Uint8Array, offset: number): Promise<void>;
  /** Writes arrays one after another; otherwise as `write`. */
  writev(data: readonly Uint8Array[], offset: number): Promise<void>;
  /** Makes bytes read as zeroes; the clusters are allocated. Throws as `write`. */
  writeZeroes(offset: number, length: number): Promise<void>;
  /**
   * Makes bytes of allocated clusters read as zeroes, and gives whole clusters back where nothing behind the blob would
   * show through. What is not allocated stays as it is: a clone goes on showing its snapshot there. Throws as `write`.
   */
  trim(offset: number, length: number): Promise<void>;

  /**
   * As `read`, on the calling thread, with no promise. The `…Sync` forms need a device that is synchronous (ENOTSUP), and
   * fail with EBUSY where they would have to wait for something that this same thread is doing.
   */
  readSync(offset: number, length: number): Uint8Array;
  readSync(offset: number, into: Uint8Array): Uint8Array;
  readvSync(offset: number, into: readonly Uint8Array[]): void;
  writeSync(data: Uint8Array, offset: number): void;
  writevSync(data: readonly Uint8Array[], offset: number): void;
  writeZeroesSync(offset: number, length: number): void;
  trimSync(offset: number, length: number): void;

  createReadStream(options?: ReadStreamOptions): Readable;
  createWriteStream(options?: WriteStreamOptions): Writable;

  /** The first byte from `offset` on that lies in a cluster the blob has itself; undefined when there is none. */
  nextData(offset: number): number | undefined;
  /** The first byte from `offset` on that lies in no cluster of the blob's own; undefined when there is none. */
  nextHole(offset: number): number | undefined;

  /**
   * Makes a read-only copy of the blob as it is now, at no cost for data, and opens it; this blob is its clone from then on.
   * Writes go on meanwhile: those that were answered before are in it. Throws EINVAL when the blob is read-only, EEXIST,
   * ENOMEM and ENOSPC without room in the metadata.
   */
  snapshot(options?: DerivedBlobOptions): Promise<Blob>;
  /** Makes a writable blob that begins as this read-only one, and opens it. Throws EINVAL when this one can be written. */
  clone(options?: DerivedBlobOptions): Promise<Blob>;
  /** Gives a thin blob all of its clusters, so that it depends on nothing. Throws ENOSPC when there are not enough. */
  inflate(options?: LongWorkOptions): Promise<void>;
  /**
   * Copies what the parent has into this clone, which then depends on its parent's parent, if on anything. Throws EINVAL when
   * this is no clone, ENOENT when its parent is the clone of an external snapshot: then only `inflate` helps.
   */
  decouple(options?: LongWorkOptions): Promise<void>;
  /**
   * Copies the clusters that this read-only blob has itself to their places on another device, durably, and answers how many
   * bytes that were. A device that is given by its spec is opened, and closed again. Throws EPERM when the blob can be
   * written, EINVAL when the device does not fit, EEXIST when it holds a store: also one that was copied there before, as what a
   * blob has in it. Then `overwrite` is what lets another copy follow.
   */
  copyTo(device: DeviceSpec | BlockDevice, options?: CopyOptions): Promise<number>;
  /**
   * Makes the blob as long as `bytes`, rounded up to whole clusters. New bytes read as zeroes; in a clone that was made shorter
   * before, as its snapshot has them. Throws EPERM read-only, ENOSPC when a thick blob does not fit.
   */
  resize(bytes: number): Promise<void>;
  /** Makes the blob read-only for good. Once is enough. */
  setReadOnly(): Promise<void>;
  /** Writes what the disk does not have yet of the blob's metadata: for a thin blob, where its new clusters are. */
  sync(): Promise<void>;
  /** Makes everything durable that was acknowledged for this blob. */
  flush(): Promise<void>;
  /** As `sync`, stopping the thread meanwhile. See `Store.openSync`. */
  syncSync(): void;
  /** As `flush`, stopping the thread meanwhile. */
  flushSync(): void;

  /**
   * Ends the handle: new calls fail with EBADF, those under way are waited for. A second call answers as the first. When it
   * fails (EIO, ENOSPC writing metadata), call it again once there is a chance that it works.
   */
  close(): Promise<void>;
  /** As `close`, stopping the thread meanwhile. EBUSY while calls of the handle are under way. */
  closeSync(): void;
}
