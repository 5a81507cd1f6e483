/** The API of a store. The options to create and to open one are in `store-options.ts`. */

import type { EventEmitter } from 'node:events';
import type { Writable } from 'node:stream';
import type { Blobstore, BlobstoreError, Channel, ClearMethod } from '@blobyard/core';
import type { AbortableOptions } from './abort.js';
import type { Blob, BlobInfo, DerivedBlobOptions, XattrValues } from './blob.js';
import type { StoreHandle } from './store-handle.js';

export type * from './store-options.js';

/** Names a blob by its id or by its name. */
export type BlobAddress = bigint | { readonly name: string };

export interface CreateBlobOptions extends AbortableOptions {
  /** The size in bytes, rounded up to whole clusters. Default: 0. */
  readonly sizeBytes?: number;
  /** True: a cluster is allocated only when it is first written. Default: false. */
  readonly thin?: boolean;
  /**
   * The name of the blob, by which the store opens it. EEXIST if another blob of the store has it. It is stored as the
   * xattr `name`.
   *
   * In an lvolstore a name is required (EINVAL), and has at most 63 bytes. The super blob of an lvolstore has the name
   * of the store, which another blob may have too.
   */
  readonly name?: string;
  /** The xattrs of the blob. In an lvolstore a `uuid` is added if none is given. */
  readonly xattrs?: XattrValues;
  /** How clusters that the blob frees are cleared. Default: 'default', which is the same as 'unmap'. */
  readonly clearMethod?: ClearMethod;
  /** Keeps the cluster map in extent pages, which makes writes to large thin blobs cheap. Default: true. */
  readonly useExtentTable?: boolean;
  /**
   * Makes the blob a clone of the external snapshot with this id. `openExternalSnapshot` gets the id, and returns the
   * device.
   */
  readonly externalSnapshotId?: string | Uint8Array;
}

export interface GrowOptions extends AbortableOptions {
  /** The size of the device in bytes, rounded up to whole blocks. Default: the size that the device has. */
  readonly sizeBytes?: number;
}

export interface OpenBlobOptions extends AbortableOptions {
  /** How clusters that the blob frees are cleared. Default: the method with which the blob was created. */
  readonly clearMethod?: ClearMethod;
}

/** Which blobs are listed: those that pass all that is given. */
export interface BlobFilter extends AbortableOptions {
  /** The beginning of the name; blobs without a name do not pass. */
  readonly prefix?: string;
  /** True: only snapshots. False: all but snapshots. */
  readonly snapshots?: boolean;
  /** True: only clones, also those of external snapshots. False: all but clones. */
  readonly clones?: boolean;
  /** Only the clones of this snapshot. ENOENT if there is no such blob. */
  readonly parent?: BlobAddress;
}

export interface StoreStats {
  /** Bytes of free clusters. Trimmed clusters count at once, although they are reclaimed only when they are needed. */
  readonly freeBytes: number;
  /** Bytes of all clusters, except those that hold the metadata of the store. */
  readonly totalBytes: number;
  /** Bytes of a cluster. */
  readonly clusterSizeBytes: number;
  /** Bytes of an io unit. Reads and writes of whole io units are fastest. */
  readonly ioUnitBytes: number;
  /** The number of pages of the metadata region. */
  readonly mdPageCount: number;
  /** The size in bytes to which the store can `grow`; fixed when it was created (`growTo`). */
  readonly growLimitBytes: number;
  readonly blobCount: number;
  /** The type of the store as text, up to its first zero byte. */
  readonly bstype: string;
}

/** The free space of a store that is nearly full. */
export interface LowSpace {
  /** `StoreStats.freeBytes` at the time of the event. */
  readonly freeBytes: number;
  readonly totalBytes: number;
  /** The threshold, `lowSpaceBytes`. */
  readonly thresholdBytes: number;
}

/** An I/O worker thread has died. */
export interface WorkerLost {
  /** The reason. The requests of the worker have failed with it. */
  readonly error: BlobstoreError;
  /** The number of I/O workers that still run. */
  readonly workersLeft: number;
}

/** An I/O worker thread that died has been replaced. */
export interface WorkerReplaced {
  /** The number of I/O workers that now run, including the new one. */
  readonly workers: number;
  /** The number of attempts, including the successful one. */
  readonly tries: number;
}

/** A store was recovered when it was opened. */
export interface Recovered {
  /** How long opening the store took, in milliseconds. */
  readonly tookMs: number;
  /** The number of blobs that were found; those in `Store.damaged` do not count. */
  readonly blobCount: number;
}

/** A store has grown. */
export interface Grown {
  /** `StoreStats.totalBytes` now. */
  readonly totalBytes: number;
  readonly addedBytes: number;
}

/**
 * The events of a store, and the arguments of their listeners. If a listener throws or rejects, the store is not
 * affected: the process emits a warning.
 */
export interface StoreEvents {
  /**
   * Fewer than `lowSpaceBytes` bytes are free. Allocations of all threads count. Delete blobs, trim, or grow the store,
   * before a write to a thin blob fails with ENOSPC. The event is emitted once, and again only after 1.25 times
   * `lowSpaceBytes` have been free. If the store is that full when it is opened, the event is emitted right after the
   * opening.
   *
   * Listeners are called soon after the write that took the space, in another turn of the event loop. So a thread that
   * fills a store by `…Sync` calls, without returning to its event loop, gets the event only when it returns there.
   * When the event arrives, concurrent writes may have begun that together need more space than is left.
   */
  readonly 'low-space': [lowSpace: LowSpace];
  /**
   * An I/O worker of a store with `threads` has died. Its requests under way have failed with EIO, whether or not they
   * were carried out. A new worker is started at once. If that fails, because the device cannot be opened or no thread
   * can be started, it is tried again after 50 ms, then after increasing pauses of up to two seconds, as long as the
   * store is open.
   *
   * If no worker is left, promise-form reads and writes wait for the first attempt. If it fails, they fail with EIO,
   * with the reason in the message, until a worker runs again. Everything else continues to work, including `…Sync`
   * calls and attached threads.
   */
  readonly 'worker-lost': [lost: WorkerLost];
  /** A new I/O worker has replaced one that died. */
  readonly 'worker-replaced': [replaced: WorkerReplaced];
  /**
   * The store was not closed the last time, or recovery was forced, so it was recovered when it was opened. Emitted in
   * the turn of the event loop after the opening.
   */
  readonly recovered: [recovered: Recovered];
  /** The store has grown; also when an attached thread has called `grow`. Not emitted for `grow` as an option. */
  readonly grown: [grown: Grown];
  /**
   * The metadata worker of a store with `threads` has died. From now on every call fails with this error (EIO). Close
   * the store and open it again, which recovers it.
   */
  readonly failed: [error: BlobstoreError];
}

/**
 * A blob that could not be read when the store was opened, with the reason. Or a damaged page whose blob is not known,
 * with the id of the blob that would begin on this page.
 */
export interface Damage {
  readonly id: bigint;
  readonly error: BlobstoreError;
}

/**
 * The engine below the API, which counts in clusters and io units.
 *
 * I/O through the engine and through the API can be mixed, with one exception: while an unaligned write of the API is
 * under way, the engine must not write to the same io unit, and vice versa. Create, delete, rename and snapshot blobs
 * only through the API, because it does not notice changes that are made through the engine.
 */
export interface Engine {
  readonly blobstore: Blobstore;
}

/** Options of snapshots of several blobs. */
export interface SnapshotsOptions extends AbortableOptions {
  /** Returns the name of the snapshot of a blob; undefined: none. Default: no names. */
  readonly name?: (blob: Blob) => string | undefined;
  /** The xattrs of all snapshots; see `DerivedBlobOptions.xattrs`. */
  readonly xattrs?: DerivedBlobOptions['xattrs'];
}

/**
 * An open store, on the thread that opened it or on one that has attached to it. The interface is the same; what an
 * attached thread does not have is ENOTSUP there: `destroy`, `engine`, and listening for events.
 *
 * Metadata operations on the same blob run one after another; those on different blobs run concurrently. All methods
 * must be called on the thread that opened the store, or attached. They fail with EBADF if the store is closed, and with
 * EIO if the device fails. On an attached thread, the `…Sync` forms fail with EBUSY if they would have to wait for
 * promise-form operations of this same thread.
 *
 * A store is an `EventEmitter` of Node.js: use `store.on`, or `events.once(store, 'low-space')`. To listen for an
 * unknown event is EINVAL; to listen on an attached thread, which gets no events, is ENOTSUP.
 */
export interface Store extends EventEmitter<StoreEvents>, AsyncDisposable {
  /** For JSON: what is known without asking the metadata thread; ids are decimal text. */
  toJSON(): object;
  /** True from the call of `close` or `destroy` on. False again if that fails with EBUSY. */
  readonly isClosed: boolean;
  /** True if the store was opened with `readOnly`. */
  readonly isReadOnly: boolean;
  /**
   * Blobs that were damaged when the store was opened, and were set aside. Also blobs that could not be opened for
   * another reason: the device of an external snapshot is missing, or they need a newer version. `blobs` does not list
   * them, and their clusters stay reserved.
   */
  readonly damaged: readonly Damage[];
  /** Throws ENOTSUP in a store with `threads`, because its engine runs on another thread, and on an attached thread. */
  readonly engine: Engine;
  /**
   * A channel of the engine for this thread. Offsets and counts are io units. It takes any open blob of this thread.
   * ENOTSUP on a thread that opened a store with `threads`: attach another thread.
   */
  readonly channel: Channel;
  /** Bytes of an io unit. Reads and writes of whole io units are fastest. */
  readonly ioUnitBytes: number;
  /** Bytes of a cluster. */
  readonly clusterSizeBytes: number;

  /**
   * Creates a blob and opens it. It is on disk when the promise resolves.
   * @throws EINVAL invalid options; EEXIST another blob has the name; ENOSPC too few free clusters; ENOMEM no free
   * metadata page.
   */
  create(options?: CreateBlobOptions): Promise<Blob>;
  /**
   * Opens a blob. It can be opened several times; each call returns a handle of its own.
   * @throws ENOENT there is no such blob; if the blob is damaged, the error in `damaged`.
   */
  open(blob: BlobAddress, options?: OpenBlobOptions): Promise<Blob>;
  /**
   * Same as `open`, but blocks the calling thread. The `…Sync` forms of a store fail with EBUSY if they would have to
   * wait for another operation of this same thread. They fail with ENOTSUP in a store with `threads`, and also without
   * `threads` if the device is asynchronous. On an attached thread they work on any device.
   */
  openSync(blob: BlobAddress, options?: OpenBlobOptions): Blob;
  /**
   * Deletes a blob. If it is a snapshot with one clone, the clone takes over its clusters. After a device error, call
   * it again to continue the deletion.
   * @throws ENOENT there is no such blob; EBUSY it has open handles, or more than one clone.
   */
  delete(blob: BlobAddress, options?: AbortableOptions): Promise<void>;
  /**
   * Creates snapshots of several open blobs, all of one moment, and opens them: a write to one of the blobs that was
   * made because of another one is in no snapshot without that one. The blobs are frozen together until all snapshots
   * are made. If one cannot be made, those that were made are deleted again, and the error is thrown; a snapshot that
   * cannot be deleted then stays, and so can some after a crash. Each that is there is whole.
   * @returns the snapshots, in the order of the blobs
   * @throws as `Blob.snapshot`; also EINVAL a blob is in the list twice, or is none of this store
   */
  snapshot(blobs: readonly Blob[], options?: SnapshotsOptions): Promise<Blob[]>;
  /** Returns true if there is a blob with this id or name. False for a damaged one, which is in `damaged`. */
  has(blob: BlobAddress, options?: AbortableOptions): Promise<boolean>;
  /**
   * Returns what `Blob.info` of a blob returns, without opening it.
   * @throws ENOENT there is no such blob; if the blob is damaged, the error in `damaged`.
   */
  stat(blob: BlobAddress, options?: AbortableOptions): Promise<BlobInfo>;
  /**
   * Gives a blob another name, which is on disk when the promise resolves. Same as setting the xattr `name` of the open
   * blob.
   * @throws ENOENT there is no such blob; EEXIST another blob has the name; EPERM the blob is read-only, as snapshots
   * are; EINVAL it is no name.
   */
  rename(blob: BlobAddress, name: string, options?: AbortableOptions): Promise<void>;
  /**
   * Returns all blobs in the order of their ids, or those that pass the filter. A blob that is created or deleted
   * meanwhile may be included or not.
   * The infos are frozen: lists share them. The array is the caller's own.
   */
  blobs(filter?: BlobFilter): Promise<BlobInfo[]>;
  /**
   * Same as `blobs`, for stores with so many blobs that they should not all be in memory: fetches up to 1024 at a time,
   * when the loop gets to them. Blobs that are created, deleted or changed meanwhile may be seen as they were before or
   * as they are after.
   */
  eachBlob(filter?: BlobFilter): AsyncIterableIterator<BlobInfo>;

  /** Returns the sizes of the store, and how much is free. */
  stats(options?: AbortableOptions): Promise<StoreStats>;
  /** Returns the id of the super blob, the one that users of the store look at first. Undefined if none is set. */
  getSuperBlob(options?: AbortableOptions): Promise<bigint | undefined>;
  /**
   * Sets the super blob; undefined: none. The change is on disk when the promise resolves. Throws ENOENT if there is no
   * such blob.
   */
  setSuperBlob(blob: BlobAddress | undefined, options?: AbortableOptions): Promise<void>;
  /**
   * Grows the store to the size of its device. With `sizeBytes`, first makes the device that long, if it is shorter. If
   * the store then cannot be extended (EIO), the device stays longer, and a second call continues.
   * @throws ENOSPC the store cannot grow so far (`StoreStats.growLimitBytes`), or the file system is full; EILSEQ the
   * device is smaller than the store; ENOTSUP the device has a fixed size; EINVAL it cannot have that size.
   */
  grow(options?: GrowOptions): Promise<void>;
  /**
   * Makes all acknowledged changes durable. This includes blobs of a thread that has ended, if their metadata could not
   * be written at that time. Tries all blobs, then throws the first error (EIO, ENOSPC).
   */
  flush(options?: AbortableOptions): Promise<void>;
  /** Same as `flush`, but blocks the calling thread. */
  flushSync(): void;
  /**
   * Returns the metadata on disk as text. If a stream is given, the text is written there, and the stream is not ended.
   */
  dump(to?: undefined, options?: AbortableOptions): Promise<string>;
  dump(to: Writable, options?: AbortableOptions): Promise<void>;

  /**
   * Returns a handle by which other threads can `attach` to the store. It is small, and can be passed by `workerData`
   * or `postMessage` any number of times. The metadata thread serves the attached threads. In a store without `threads`
   * this is the calling thread, and its event loop must not be blocked. Throws ENOTSUP if the device is in memory that
   * only one thread can reach.
   */
  share(): StoreHandle;

  /**
   * Returns `bytes` bytes (from 1) of zeroed shared memory that transfers need not copy. Throws EINVAL for another
   * number, ENOMEM if there is not enough memory.
   */
  allocate(bytes: number): Uint8Array;
  /**
   * Releases memory from `allocate`, so that it can be allocated again. The call is optional, but the memory inside a
   * `MemoryDevice`, where transfers are fastest, is limited. Throws EINVAL if such memory was released before.
   */
  release(buffer: Uint8Array): void;

  /**
   * Waits for operations under way, closes all handles, and marks the store as clean. A second call returns the same
   * result.
   * @throws EBUSY blobs that were opened through `engine` are still open; then the store stays open. After any other
   * error the store is closed, and the next open recovers it.
   *
   * On an attached thread only this thread lets go: its handles are closed, and the store stays open. After a success,
   * further calls do nothing. A thread that ends without calling `close` is detached after it has ended.
   * @throws on an attached thread, the error of closing a blob (EIO, ENOSPC), or of closing the device. Before it
   * throws, it tries to close all blobs. No new operation can begin then; call `close` again to close the rest. EIO if
   * the store has failed while blobs were open; everything is released nevertheless.
   */
  close(): Promise<void>;
  /** Closes the store, and erases it from the device. Throws the same errors as `close`. */
  destroy(): Promise<void>;
}

/** A store as an attached thread sees it: the same interface. `destroy` and `engine` are ENOTSUP there. */
export interface AttachedStore extends Store {
  /** Same as `openSync`, by the id. */
  blob(id: bigint): Blob;
  /** Same as `close`: the thread leaves the store, which stays open for the others. */
  detach(): Promise<void>;
}
