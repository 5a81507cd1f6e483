/**
 * What the metadata thread answers, as a store and the handles of its blobs ask it, on whichever thread they are. Blobs that are open
 * have numbers, handles, which are each client's own. Arguments have been checked, and can be posted to a thread, but for callbacks,
 * signals and open devices, which each binding brings across in its own way.
 */

import { BlobstoreError, type BlockDevice } from '@blobyard/core';
import type { DeviceSpec } from '@blobyard/io';
import type { BlobInfo } from '../api/blob.js';
import type { BlobAddress, OpenBlobOptions, StoreStats } from '../api/store.js';
import type { NewBlob } from '../checks/blob-options.js';
import type { PacedCopyOptions, PacedWorkOptions } from '../checks/long-work.js';
import type { GivenXattrs, XattrValue } from '../checks/xattr-values.js';

/** A blob that was opened, and how it is found in shared memory. */
export interface OpenedBlob {
  /** By which its client names it from now on. */
  readonly handle: number;
  readonly id: bigint;
  readonly name: string | undefined;
  readonly slot: number;
  readonly generation: number;
}

/** A change of xattrs. */
export interface XattrsChanged {
  /** There was something to do. */
  readonly isChanged: boolean;
  /** The name that the blob has afterwards. */
  readonly name: string | undefined;
}

/** Xattrs by name, to be set; undefined: to be removed. All or none. */
export type XattrChanges = ReadonlyMap<string, XattrValue | undefined>;

export interface MetadataPort {
  create(blob: NewBlob): Promise<OpenedBlob>;
  open(address: BlobAddress, options: OpenBlobOptions): Promise<OpenedBlob>;
  delete(address: BlobAddress): Promise<void>;
  blobs(): Promise<BlobInfo[]>;
  stats(): Promise<StoreStats>;
  getSuperBlob(): Promise<bigint | undefined>;
  setSuperBlob(address: BlobAddress | undefined): Promise<void>;
  grow(): Promise<void>;
  flush(): Promise<void>;
  /** The store's metadata as the bytes of a text. */
  dump(): Promise<Uint8Array>;

  info(handle: number): Promise<BlobInfo>;
  clones(handle: number): Promise<readonly bigint[]>;
  snapshot(handle: number, xattrs: GivenXattrs): Promise<OpenedBlob>;
  clone(handle: number, xattrs: GivenXattrs): Promise<OpenedBlob>;
  inflate(handle: number, options: PacedWorkOptions): Promise<void>;
  decouple(handle: number, options: PacedWorkOptions): Promise<void>;
  copyTo(handle: number, device: DeviceSpec | BlockDevice, options: PacedCopyOptions): Promise<number>;
  resize(handle: number, clusterCount: number): Promise<void>;
  setReadOnly(handle: number): Promise<void>;
  syncBlob(handle: number): Promise<void>;
  flushBlob(handle: number): Promise<void>;
  getXattr(handle: number, name: string): Promise<Uint8Array | undefined>;
  getXattrText(handle: number, name: string): Promise<string | undefined>;
  listXattrs(handle: number): Promise<string[]>;
  changeXattrs(handle: number, changes: XattrChanges): Promise<XattrsChanged>;
  /** Gives a handle back. When that fails it is the client's still, who can try again. */
  closeHandle(handle: number): Promise<void>;
}

/**
 * The same for a thread that stops until it is done. EBUSY where that might wait for this very thread, ENOTSUP where a thread cannot
 * stop for it.
 */
export interface SyncMetadata {
  open(address: BlobAddress, options: OpenBlobOptions): OpenedBlob;
  flush(): void;
  syncBlob(handle: number): void;
  flushBlob(handle: number): void;
  closeHandle(handle: number): void;
}

/** Of a store whose calling thread cannot stop for its metadata thread. */
export function noSyncMetadata(reason: string): SyncMetadata {
  const refuse = () => {
    throw new BlobstoreError('ENOTSUP', `${reason}: use the promise form of this call`);
  };
  return { open: refuse, flush: refuse, syncBlob: refuse, flushBlob: refuse, closeHandle: refuse };
}
