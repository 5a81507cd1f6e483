/** A store as its users see it, and the options by which it is made and opened. */

import type { EventEmitter } from 'node:events';
import type { Writable } from 'node:stream';
import type { Blobstore, BlobstoreError, BlockDevice, Channel, ClearMethod, Durability } from '@blobyard/core';
import type { DeviceSpec } from '@blobyard/io';
import type { Blob, BlobInfo, XattrValues } from './blob.js';
import type { StoreHandle } from './store-handle.js';

/** A blob, by its id or by its name. */
export type BlobAddress = bigint | { readonly name: string };

/** Which external snapshot is wanted. */
export interface ExternalSnapshotWanted {
  /** The clone that reads through to it. */
  readonly blobId: bigint;
  /** Its id, as given when the clone was created. */
  readonly snapshotId: Uint8Array;
}

/** Finds the device of an external snapshot; null opens the clone without it (reads of it then fail with EIO). */
export type FindExternalSnapshot = (
  wanted: ExternalSnapshotWanted,
) => DeviceSpec | BlockDevice | null | Promise<DeviceSpec | BlockDevice | null>;

interface CommonOptions {
  /** A device by its spec, which the store then opens and closes; or an open one, which stays its caller's to close. */
  readonly device: DeviceSpec | BlockDevice;
  /**
   * I/O threads that work for the store, up to 64, and one for its metadata beside them; 0, unless given: all work is done on
   * the calling thread. With threads the device is opened in each of them: it is a spec, a `MemoryDevice` or a `FileDevice`
   * (ENOTSUP), and so are the devices of external snapshots.
   */
  readonly threads?: number;
  /** What the store is used for, up to 16 bytes. When opening: the type to expect (ENXIO); any, unless given. */
  readonly bstype?: string | Uint8Array;
  /** What survives what; 'power-loss' unless given. */
  readonly durability?: Durability;
  /** Without it, clones of external snapshots cannot be opened (ENOTSUP). */
  readonly openExternalSnapshot?: FindExternalSnapshot;
  /** Whether a file given by its spec is locked against other users of the store; true unless given. */
  readonly lock?: boolean;
  /** Requests that the device is given at once, from 1 to 65536; more wait for their turn. 512 unless given. */
  readonly requestsMax?: number;
  /**
   * The store tells by its event `low-space` when less than so many bytes are free; 0: never. A twentieth of the store's bytes
   * unless given.
   */
  readonly lowSpaceBytes?: number;
  /**
   * The store is synced by itself every so many milliseconds while something is unsynced; 0: never. Unless given: 5000 with 'power-loss'
   * on a device that does not say who keeps what was written (`BlockDevice.cacheOwner`), where a killed process loses first writes of
   * clusters since the last sync; never on others, which lose nothing by it. At most 2^31 - 1.
   */
  readonly syncIntervalMs?: number;
  /** Keeps the process alive while the store is open. Otherwise only what is under way does. False unless given. */
  readonly keepAlive?: boolean;
  /** Ends the work with ECANCELED; a device that was opened for it is closed. */
  readonly signal?: AbortSignal;
}

export interface CreateStoreOptions extends CommonOptions {
  /** Bytes of a cluster, a multiple of 4096 below 4 GiB; 1 MiB unless given. */
  readonly clusterSizeBytes?: number;
  /** Pages for metadata, from 1: each blob needs one or more. One for each cluster unless given. */
  readonly mdPageCount?: number;
  /** How the device is cleared at first; 'unmap' unless given. */
  readonly clearMethod?: 'unmap' | 'write_zeroes' | 'none';
  /** Makes the store also where the device holds one, damaged or not, which is lost. False unless given: then that is EEXIST. */
  readonly overwrite?: boolean;
}

/** A blob that was found while the store was opened. */
export interface FoundBlob {
  readonly id: bigint;
  readonly name: string | undefined;
  readonly sizeBytes: number;
}

export interface OpenStoreOptions extends CommonOptions {
  /** Makes the store as large as its device has become. False unless given. */
  readonly grow?: boolean;
  /** 'force': derives everything from the blobs' own metadata, even if the store was closed cleanly. */
  readonly recover?: 'force';
  /**
   * What to do where metadata is damaged. 'refuse', unless given: the store is not opened (EILSEQ, a `DamagedStoreError`, whose
   * `damaged` lists every blob and page). 'set-aside': the other blobs can be used, and all that belongs, or may belong, to
   * damaged ones stays reserved. Where it is not known which clusters were in use, as after a crash of a store with 'process-crash'
   * durability, the store then has no free space. Snapshots are not deleted that may be what a damaged blob is a clone of (EBUSY).
   */
  readonly onDamage?: 'refuse' | 'set-aside';
  /** Called for each blob in the order of ids. What it throws ends the opening (ECANCELED, with it as `cause`). */
  readonly onBlob?: (blob: FoundBlob) => void;
}

export interface CreateBlobOptions {
  /** Bytes, rounded up to whole clusters; 0 unless given. */
  readonly sizeBytes?: number;
  /** Take clusters only when they are first written; false unless given. */
  readonly thin?: boolean;
  /**
   * A name by which the store opens it; no other blob of the store may have it (EEXIST). It is kept as the xattr `name`. Obligatory
   * in an lvolstore (EINVAL), where it has 63 bytes at most; the super blob's is apart from the others' there.
   */
  readonly name?: string;
  /** In an lvolstore a `uuid` is added, unless given. */
  readonly xattrs?: XattrValues;
  /** How clusters are cleared that the blob gives back; 'default' (as 'unmap') unless given. */
  readonly clearMethod?: ClearMethod;
  /** Map clusters by pages of their own, which makes writes to large thin blobs cheap; true unless given. */
  readonly useExtentTable?: boolean;
  /** Makes the blob a clone of a snapshot outside the store: its id, which `openExternalSnapshot` is given. */
  readonly externalSnapshotId?: string | Uint8Array;
}

export interface OpenBlobOptions {
  /** How clusters are cleared that the blob gives back; as the blob was created, unless given. */
  readonly clearMethod?: ClearMethod;
}

export interface StoreStats {
  /** Bytes in clusters that no blob has; what was trimmed counts at once, though it is given back only when it is needed. */
  readonly freeBytes: number;
  /** Bytes in all clusters but those that hold the store's own metadata. */
  readonly totalBytes: number;
  readonly clusterSizeBytes: number;
  /** Bytes of an io unit: reads and writes of whole ones take no detour. */
  readonly ioUnitBytes: number;
  /** Pages of the metadata region. */
  readonly mdPageCount: number;
  readonly blobCount: number;
  readonly bstype: string;
}

/** How full a store is that is about to be full. */
export interface LowSpace {
  /** As `StoreStats.freeBytes`, when it was noticed. */
  readonly freeBytes: number;
  readonly totalBytes: number;
  /** What was to be free. */
  readonly thresholdBytes: number;
}

/** An I/O worker that died. */
export interface WorkerLost {
  /** Why; what requests failed with that it had. */
  readonly error: BlobstoreError;
  /** I/O workers that serve still. */
  readonly workersLeft: number;
}

/** An I/O worker in the place of one that died. */
export interface WorkerReplaced {
  /** I/O workers that serve now, this one among them. */
  readonly workers: number;
  /** How often it was tried, the last time included. */
  readonly tries: number;
}

/**
 * The events of a store, and what their listeners are given. What a listener throws, or rejects with, hurts nobody: it becomes a
 * warning of the process.
 */
export interface StoreEvents {
  /**
   * Less than `lowSpaceBytes` are free, whichever thread took the rest: it is time to delete blobs, to unmap, or to grow the
   * store, before a write to a thin blob fails with ENOSPC. It comes once, and again only after a quarter more than that was
   * free meanwhile. A store that is opened that full tells right after it was opened.
   *
   * Listeners are called soon after the write that took the space, in a turn of their own: a thread that fills a store by
   * `…Sync` calls, without a turn of its event loop, is told only afterwards. Of writes that are under way together with the one
   * that is noticed, more than fit may have begun.
   */
  readonly 'low-space': [lowSpace: LowSpace];
  /**
   * An I/O worker has died (of a store with `threads`): what it had under way has failed with EIO, whether it was carried out or not.
   * Another one is started at once; while that fails, because the device cannot be opened or no thread be started, it is tried again
   * after 50 ms, then after longer and longer pauses of up to two seconds, as long as the store is open.
   *
   * When no worker is left, reads and writes in promise form wait for the first try, and after that fail with EIO, which says why,
   * until a worker serves again. Everything else goes on, `…Sync` calls and attached threads too.
   */
  readonly 'worker-lost': [lost: WorkerLost];
  /** Another I/O worker serves in the place of one that died. */
  readonly 'worker-replaced': [replaced: WorkerReplaced];
}

/**
 * A blob that could not be read when the store was opened, and why; or a damaged page that no blob can be told to have, with
 * the id of the blob that would begin there.
 */
export interface Damage {
  readonly id: bigint;
  readonly error: BlobstoreError;
}

/**
 * The engine below, in clusters and io units, for those who want it. Its I/O mixes with that of the API, except that a
 * write through it and an unaligned one of the API to the same io unit must not be under way at once. Create, delete,
 * rename and snapshot through the API: it would not notice what is done to the engine.
 */
export interface Engine {
  readonly blobstore: Blobstore;
  /** A channel of the calling thread's, apart from the API's own. Opened at its first use, closed with the store. */
  readonly channel: Channel;
}

/**
 * A store. Operations on one blob's metadata wait for each other, those on different blobs overlap. All methods belong to
 * the thread that opened the store, fail with EBADF once it is closed, and with EIO when the device fails.
 *
 * It is an emitter of Node's: `store.on`, `events.once(store, 'low-space')`. Listening to a name that there is not is EINVAL.
 */
export interface Store extends EventEmitter<StoreEvents>, AsyncDisposable {
  readonly isClosed: boolean;
  /**
   * Blobs that were damaged when the store was opened, and set aside, and those that could not be opened because something else
   * was missing: the device behind a clone, or a newer version. They are not listed, and their clusters stay taken.
   */
  readonly damaged: readonly Damage[];
  /** Throws ENOTSUP in a store with threads: the engine lives on another one. */
  readonly engine: Engine;

  /** Makes a blob, on disk when this resolves, and opens it. Throws EEXIST, ENOSPC, and ENOMEM without a metadata page. */
  create(options?: CreateBlobOptions): Promise<Blob>;
  /** Opens a blob; more than once is fine. Throws ENOENT, and the damage of a damaged blob. */
  open(blob: BlobAddress, options?: OpenBlobOptions): Promise<Blob>;
  /**
   * As `open`, stopping the thread meanwhile. The `…Sync` forms of a store fail with EBUSY where they would have to wait for something
   * that this same thread is doing, and with ENOTSUP on an asynchronous device, or in a store with `threads`.
   */
  openSync(blob: BlobAddress, options?: OpenBlobOptions): Blob;
  /**
   * Deletes a blob. A snapshot with one clone hands its clusters over to it. Throws ENOENT, EBUSY while it has open handles,
   * or more than one clone. After an error of the device, deleting it again goes on.
   */
  delete(blob: BlobAddress): Promise<void>;
  /** All blobs in the order of their ids; blobs that come and go meanwhile may be in it or not. */
  blobs(): Promise<BlobInfo[]>;

  stats(): Promise<StoreStats>;
  /** The blob that the store's users begin at; undefined when none is named. */
  getSuperBlob(): Promise<bigint | undefined>;
  /** Names the blob to begin at, on disk when this resolves; undefined: none. Throws ENOENT for a blob that is not there. */
  setSuperBlob(blob: BlobAddress | undefined): Promise<void>;
  /** Makes the store as large as its device has become. Throws ENOSPC when it cannot be, EILSEQ when the device is smaller. */
  grow(): Promise<void>;
  /**
   * Makes everything durable that was acknowledged, also of blobs that a thread has left which is gone, and which could not be written
   * then. Throws the first error (EIO, ENOSPC) when all has been tried.
   */
  flush(): Promise<void>;
  /** As `flush`, stopping the thread meanwhile. */
  flushSync(): void;
  /** The store's metadata as text, as it is on disk; given a stream, it goes there, which is not ended. */
  dump(): Promise<string>;
  dump(to: Writable): Promise<void>;

  /**
   * What other threads attach by (`attach`): small, and cloned by workerData or postMessage as often as you like. The thread that
   * has the store's metadata serves them; in inline mode that is the calling one, whose event loop must turn for it. Throws
   * ENOTSUP when the device is in the memory of one thread.
   */
  share(): StoreHandle;

  /** Zeroed shared memory that transfers need not copy on their way; a number of bytes from 1. */
  allocate(bytes: number): Uint8Array;
  /** Gives memory from `allocate` back for use by others. Not obligatory, but the fastest kind is limited. */
  release(buffer: Uint8Array): void;

  /**
   * Closes all handles, waiting for what is under way, and leaves the store clean. A second call answers as the first.
   * Throws EBUSY, and stays open, while blobs are open that were opened through `engine`; after another error the store is
   * closed, and the next to open it recovers it.
   */
  close(): Promise<void>;
  /** Closes, and makes the device hold no store any more. Throws as `close`. */
  destroy(): Promise<void>;
}
