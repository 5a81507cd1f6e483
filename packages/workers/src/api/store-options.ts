/** The options to create and to open a store. */

import type { BlockDevice, Durability } from '@blobyard/core';
import type { DeviceSpec } from '@blobyard/io';
import type { AbortableOptions } from './abort.js';

/** The external snapshot that a clone needs. */
export interface ExternalSnapshotWanted {
  /** The id of the clone. */
  readonly blobId: bigint;
  /** The id of the external snapshot, as it was given when the clone was created. */
  readonly snapshotId: Uint8Array;
}

/**
 * Returns the device of an external snapshot. With null the clone is opened without the device, and reads that need the
 * snapshot fail with EIO.
 */
export type FindExternalSnapshot = (
  wanted: ExternalSnapshotWanted,
) => DeviceSpec | BlockDevice | null | Promise<DeviceSpec | BlockDevice | null>;

/** Files of worker threads, each an absolute path or a file URL. */
export interface WorkerFiles {
  readonly metadata: string | URL;
  readonly io: string | URL;
}

/** How the file of a store is locked. */
export type StoreLocking = 'exclusive' | 'shared' | 'none';

interface CommonOptions extends AbortableOptions {
  /** The device. One given by its spec is opened and closed by the store; an open one must be closed by the caller. */
  readonly device: DeviceSpec | BlockDevice;
  /**
   * The number of I/O threads, from 0 to 64. Default 0: all work is done on the calling thread. Otherwise there is one
   * more thread, for the metadata, and each thread opens the device. So the device, and the devices of external
   * snapshots, must be specs, `MemoryDevice`s or `FileDevice`s (ENOTSUP).
   */
  readonly threads?: number;
  /**
   * The files of the worker threads, for an application that is bundled: copies of `blobyard/metadata-worker` and
   * `blobyard/io-worker`, which need nothing else. A module of a custom device is loaded by them, and must not depend on
   * the classes of `blobyard/devices`. Default: the files of the package.
   */
  readonly workers?: WorkerFiles;
  /**
   * The type of the store, up to 16 bytes. `createStore` writes it; default: empty. `openStore` fails with ENXIO if the
   * store has another type; default: any type.
   */
  readonly bstype?: string | Uint8Array;
  /** What survives a crash: see `Durability`. Default: 'power-loss'. */
  readonly durability?: Durability;
  /** Finds the devices of external snapshots. Without it, clones of external snapshots cannot be opened (ENOTSUP). */
  readonly openExternalSnapshot?: FindExternalSnapshot;
  /**
   * How a file that is given by its spec is locked, against all programs that lock it.
   * - 'exclusive': nobody else can open the store. The default, unless `readOnly`.
   * - 'shared': any number of readers, in any number of processes, can open the store, and nobody can write to it. Only
   *   with `readOnly`, and the default there.
   * - 'none', or false: the file is not locked. The caller must see to it that nobody writes to the store meanwhile.
   */
  readonly lock?: StoreLocking | false;
  /** The most requests that the device gets at once, from 1 to 65536; further requests wait. Default: 512. */
  readonly requestsMax?: number;
  /**
   * The store emits the event `low-space` when fewer bytes than this (from 0) are free. 0: never. Default: a twentieth
   * of the store's total bytes.
   */
  readonly lowSpaceBytes?: number;
  /**
   * The interval of automatic syncs, in milliseconds, up to 2^31 - 1; 0: never. A sync happens only if something is
   * unsynced.
   *
   * Default: 5000 with 'power-loss' durability on a device that does not name the owner of its cache
   * (`BlockDevice.cacheOwner`). If the process is killed there, writes that were the first ones to a cluster, and were
   * made since the last sync, are lost. In all other cases a killed process loses nothing, and the default is never.
   */
  readonly syncIntervalMs?: number;
  /** True: the open store keeps the process alive. Default false: only operations under way do. */
  readonly keepAlive?: boolean;
  /** Aborts the call. If it opened the device, the device is closed again. */
  readonly signal?: AbortSignal;
}

/** The options of a new store. */
interface NewStoreOptions {
  /** Bytes of a cluster, a multiple of 4096 below 4 GiB. Default: 1 MiB. */
  readonly clusterSizeBytes?: number;
  /** The number of metadata pages, from 1. Each blob needs at least one. Default: one for each cluster. */
  readonly mdPageCount?: number;
  /**
   * The size in bytes to which the store will be able to `grow`. Reserved for it: a bit for each cluster in the mask of
   * used clusters, which is 128 KiB for each TiB with clusters of 1 MiB; and, unless `mdPageCount` is given, a metadata
   * page of 4 KiB for each cluster, 4 GiB for each TiB, but at most a quarter of the device as it is now. Pages that are
   * not used take no space in a sparse file. Default: as many clusters as there are metadata pages, rounded up to 32,728.
   */
  readonly growTo?: number;
  /** How the device is cleared. Default: 'unmap'. */
  readonly clearMethod?: 'unmap' | 'write_zeroes' | 'none';
}

export interface CreateStoreOptions extends CommonOptions, NewStoreOptions {
  /**
   * True: creates the store even if the device holds one already, damaged or not; the old store is lost. Default false:
   * fails with EEXIST on such a device.
   */
  readonly overwrite?: boolean;
}

/** A blob that is found while a store is opened. */
export interface FoundBlob {
  readonly id: bigint;
  readonly name: string | undefined;
  readonly sizeBytes: number;
}

/** The options of a new store (`clusterSizeBytes` and so on) need `create`, and apply only if a store is created. */
export interface OpenStoreOptions extends CommonOptions, NewStoreOptions {
  /**
   * True: creates the store if there is none: in a file that does not exist (`sizeBytes` of the device is its size then)
   * or is empty, or on a device whose first MiB is zeroes. Of two processes at the same time, one creates it; the other
   * one opens it, or gets EBUSY. A device with other data is EILSEQ. Default: false.
   */
  readonly create?: boolean;
  /**
   * True: nothing is written, so permission to read the file is enough. Every call that would change the store fails
   * with EPERM. If the store was not closed, it is recovered in memory: what recovery would write takes memory of the
   * metadata thread, a few metadata pages mostly, and is done again at the next opening. Not with `grow`. Default:
   * false; true on a file device with `readOnly`.
   */
  readonly readOnly?: boolean;
  /** True: if the device has become larger, the store grows to its size. Default: false. */
  readonly grow?: boolean;
  /** 'force': rebuilds the masks from the metadata of the blobs, even if the store was closed cleanly. */
  readonly recover?: 'force';
  /**
   * What to do if metadata is damaged.
   *
   * 'refuse' (default): the store is not opened. The error is EILSEQ, a `DamagedStoreError`, whose `damaged` lists
   * every damaged blob and page.
   *
   * 'set-aside': the other blobs can be used. Everything that belongs, or may belong, to a damaged blob stays reserved.
   * If it is not known which clusters were in use, the store has no free space. This happens if SPDK, which writes no
   * high-water mark, was the last user of the store and did not close it. A snapshot that may be the parent of a
   * damaged blob cannot be deleted (EBUSY).
   */
  readonly onDamage?: 'refuse' | 'set-aside';
  /**
   * Called for each blob, in the order of ids. If it throws, opening fails with ECANCELED and that error as `cause`.
   */
  readonly onBlob?: (blob: FoundBlob) => void;
}
