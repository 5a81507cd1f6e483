/**
 * The requests that a store and its blob handles send to the metadata thread, from any thread. An open blob is named by
 * a number, its handle; each client has handles of its own. Arguments have been checked, and can be posted to another
 * thread. Callbacks, signals and open devices are exceptions: each mode (local, pool, attached) passes them on in its
 * own way.
 */

import { BlobstoreError, type BlockDevice } from '@blobyard/core';
import type { DeviceSpec } from '@blobyard/io';
import type { BlobInfo } from '../api/blob.js';
import type { BlobAddress, BlobFilter, OpenBlobOptions, StoreStats } from '../api/store.js';
import type { NewBlob } from '../checks/blob-options.js';
import type { PacedCopyOptions, PacedWorkOptions } from '../checks/long-work.js';
import type { DerivedXattrs, XattrValue } from '../checks/xattr-values.js';

/** An open blob, and its place (slot and generation) in shared memory. */
export interface OpenedBlob {
  /** The number by which the client names the blob in later requests. */
  readonly handle: number;
  readonly id: bigint;
  readonly name: string | undefined;
  readonly slot: number;
  readonly generation: number;
}

/** A part of the list of blobs. */
export interface BlobsPart {
  readonly infos: BlobInfo[];
  /** Where the next part begins; undefined: this was the last one. */
  readonly next: number | undefined;
}

/** The result of a change of xattrs. */
export interface XattrsChanged {
  /** False if there was nothing to do: all changes delete xattrs that do not exist. */
  readonly isChanged: boolean;
  /** The name of the blob after the change. */
  readonly name: string | undefined;
}

/** Xattrs to set, by name; undefined: to delete. Either all changes are made, or none. */
export type XattrChanges = ReadonlyMap<string, XattrValue | undefined>;

/** The requests in promise form. For errors see `Store` and `Blob`. */
export interface MetadataPort {
  create(blob: NewBlob): Promise<OpenedBlob>;
  open(address: BlobAddress, options: OpenBlobOptions): Promise<OpenedBlob>;
  delete(address: BlobAddress): Promise<void>;
  has(address: BlobAddress): Promise<boolean>;
  stat(address: BlobAddress): Promise<BlobInfo>;
  /** Returns the id of the blob. */
  rename(address: BlobAddress, name: string): Promise<bigint>;
  blobs(filter: BlobFilter): Promise<BlobInfo[]>;
  /** @param from - the first page of the first blob to look at: 0, or `next` of the part before */
  someBlobs(from: number, filter: BlobFilter): Promise<BlobsPart>;
  stats(): Promise<StoreStats>;
  getSuperBlob(): Promise<bigint | undefined>;
  setSuperBlob(address: BlobAddress | undefined): Promise<void>;
  /** @param sizeBytes - undefined: the size of the device stays as it is */
  grow(sizeBytes: number | undefined): Promise<void>;
  flush(): Promise<void>;
  /** Returns the metadata of the store as text, encoded as UTF-8. */
  dump(): Promise<Uint8Array>;

  info(handle: number): Promise<BlobInfo>;
  clones(handle: number): Promise<readonly bigint[]>;
  snapshot(handle: number, xattrs: DerivedXattrs): Promise<OpenedBlob>;
  /** Creates snapshots of several blobs, of one moment; `xattrs` are those of each snapshot. */
  snapshotAll(handles: readonly number[], xattrs: readonly DerivedXattrs[]): Promise<OpenedBlob[]>;
  clone(handle: number, xattrs: DerivedXattrs): Promise<OpenedBlob>;
  inflate(handle: number, options: PacedWorkOptions): Promise<void>;
  decouple(handle: number, options: PacedWorkOptions): Promise<void>;
  copyTo(handle: number, device: DeviceSpec | BlockDevice, options: PacedCopyOptions): Promise<number>;
  /** @param how - 'grow': does nothing if the blob has as many clusters already */
  resize(handle: number, clusterCount: number, how?: 'grow'): Promise<void>;
  setReadOnly(handle: number): Promise<void>;
  syncBlob(handle: number): Promise<void>;
  flushBlob(handle: number): Promise<void>;
  getXattr(handle: number, name: string): Promise<Uint8Array | undefined>;
  getXattrText(handle: number, name: string): Promise<string | undefined>;
  listXattrs(handle: number): Promise<string[]>;
  changeXattrs(handle: number, changes: XattrChanges): Promise<XattrsChanged>;
  /** Releases a handle. If this fails, the client still has the handle, and can try again. */
  closeHandle(handle: number): Promise<void>;
}

/**
 * The requests in synchronous form, which block the calling thread. They throw EBUSY if a request might have to wait
 * for this same thread, ENOTSUP if the thread cannot wait for the metadata thread.
 */
export interface SyncMetadata {
  open(address: BlobAddress, options: OpenBlobOptions): OpenedBlob;
  flush(): void;
  syncBlob(handle: number): void;
  flushBlob(handle: number): void;
  closeHandle(handle: number): void;
}

/**
 * Returns synchronous requests that all fail with ENOTSUP, for a store whose calling thread cannot wait for the
 * metadata thread.
 */
export function noSyncMetadata(reason: string): SyncMetadata {
  const refuse = () => {
    throw new BlobstoreError('ENOTSUP', `${reason}: use the promise form of this call`);
  };
  return { open: refuse, flush: refuse, syncBlob: refuse, flushBlob: refuse, closeHandle: refuse };
}
