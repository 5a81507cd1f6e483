/** The options of initialising and loading a store, and their checks. */

import { BSTYPE_BYTES } from '../format/super-block.js';
import type { Durability, OpenExternalSnapshot } from '../state/store-state.js';
import { BlobstoreError } from '../units/error.js';
import { NONE_U32, PAGE_BYTES } from '../units/units.js';

/** The default cluster size, in bytes. */
export const CLUSTER_BYTES_DEFAULT = 1 << 20;
/** The default number of requests that a channel accepts at the same time. */
export const CHANNEL_OPS_DEFAULT = 512;

/** The options that opening and initialising have in common. */
export interface StoreOptions {
  /** The store's type, 16 bytes. When opening: the expected type; all zeroes match any. Default: all zeroes. */
  bstype?: Uint8Array;
  /** How many requests in promise form a channel accepts at the same time, 1 or more. Default: 512. */
  channelOpsMax?: number;
  /** What acknowledged changes survive. Default: 'power-loss'. */
  durability?: Durability;
  /**
   * Keeps the high-water marks on disk, which tell recovery what to read and what to clear. False has an effect only
   * with `process-crash`. Then the disk has exactly what the specification writes. But a crash can then leave another
   * blob's data in a free cluster, and a blob can lose data that a resize has cut off without a sync. Default: true.
   */
  highWater?: boolean;
  /** Opens the devices behind external clones. Default: none; external clones cannot be opened then (ENOTSUP). */
  openExternalSnapshot?: OpenExternalSnapshot;
  /** Passed to `openExternalSnapshot` as `storeContext`. */
  externalContext?: unknown;
  /** The number of this thread, 0 or more, unique among the threads that use the store. Default: 0. */
  threadId?: number;
}

/** The options of initialising a store. Every field has a default. */
export interface InitOptions extends StoreOptions {
  /** Bytes in a cluster, a multiple of 4096 below 4 GiB. Default: 1 MiB. */
  clusterBytes?: number;
  /**
   * Reserves metadata for a store of this size, in bytes, to which it can grow. Default: room in the cluster mask for as
   * many clusters as there are metadata pages.
   */
  growToBytes?: number;
  /**
   * Pages for metadata, 1 or more; each blob needs at least one. Default: one per cluster, of the size to grow to, but not
   * more than fit into a quarter of the device for that.
   */
  mdPageCount?: number;
  /** How the data clusters are cleared initially. Default: 'unmap'. */
  clearMethod?: 'unmap' | 'write_zeroes' | 'none';
  /** Records the metadata page size in the super block, as newer SPDK expects. Default: true. */
  recordMdPageSize?: boolean;
}

/** The options of opening a store. All fields are optional. */
export interface LoadOptions extends StoreOptions {
  /** Recovers the store even if it was cleanly unloaded. Default: false. */
  forceRecover?: boolean;
  /** Called with each blob while the store is opened; the blob is closed afterwards. */
  onBlob?: (blob: LoadedBlob) => void;
  /**
   * A smaller device is refused (ENOSPC), in bytes. Not the cluster size of the store, which is read from disk.
   * Default: 1 MiB, as in the specification.
   */
  clusterBytes?: number;
  /** Called before `onBlob` is called for all blobs again; the earlier calls no longer count. */
  onRestart?: () => void;
  /**
   * What to do with a damaged store.
   * `refuse`: it is not opened (EILSEQ, a `DamagedStoreError`).
   * `set-aside`: the other blobs can be used. What belongs, or may belong, to damaged blobs stays reserved; if that is
   * not known, all free space is reserved (see `survey/survey.ts`).
   * Default: as in the specification. Recovery refuses the store if it happens to find damage. After a clean unload
   * damaged blobs are listed (`Blobstore.damaged`), and the masks are trusted.
   */
  onDamage?: 'refuse' | 'set-aside';
  /**
   * With `onDamage`: surveys all metadata, even if the store was cleanly unloaded and its blobs agree with the masks.
   * Default: false.
   */
  survey?: boolean;
  /** Recovery reads every metadata page, also those that the high-water mark calls never written. Default: false. */
  allPages?: boolean;
}

/** A blob that was found while the store was opened. */
export interface LoadedBlob {
  readonly id: bigint;
  readonly clusterCount: number;
}

/** Throws EINVAL unless the options of initialising are valid, and ENOSPC when the device is smaller than a cluster. */
export function checkInitOptions(options: InitOptions, deviceBytes: number): void {
  const { clusterBytes = CLUSTER_BYTES_DEFAULT, mdPageCount = 1 } = options;
  requireCount('the cluster size in bytes', clusterBytes);
  requireCount('the number of metadata pages', mdPageCount);
  requireCount('the size to grow to, in bytes,', options.growToBytes ?? 1);
  if ((options.growToBytes ?? 0) / clusterBytes >= NONE_U32) {
    throw new BlobstoreError('EINVAL', `a store has less than ${NONE_U32} clusters: grow to less, or use larger ones`);
  }
  checkStoreOptions(options);
  requireDeviceSize(clusterBytes, deviceBytes);
  if (clusterBytes % PAGE_BYTES !== 0 || clusterBytes > 0xffff_ffff) {
    throw new BlobstoreError(
      'EINVAL',
      `a cluster is a multiple of ${PAGE_BYTES} bytes below 4 GiB, not ${clusterBytes}`,
    );
  }
}

/** True when the high-water marks are kept. They can only be left out together with write barriers. */
export function keepsHighWater({ durability, highWater = true }: StoreOptions): boolean {
  return highWater || durability !== 'process-crash';
}

/** Throws EINVAL unless the common options are valid. */
export function checkStoreOptions(options: StoreOptions): void {
  requireCount('the number of requests of a channel', options.channelOpsMax ?? CHANNEL_OPS_DEFAULT);
  if (options.bstype && options.bstype.length !== BSTYPE_BYTES) {
    throw new BlobstoreError('EINVAL', `a store type has ${BSTYPE_BYTES} bytes, not ${options.bstype.length}`);
  }
  const { durability = 'power-loss' } = options;
  if (durability !== 'power-loss' && durability !== 'process-crash') {
    throw new BlobstoreError('EINVAL', `durability is 'power-loss' or 'process-crash', not '${String(durability)}'`);
  }
}

/** Throws ENOSPC when the device is smaller than a cluster. */
export function requireDeviceSize(clusterBytes: number, deviceBytes: number): void {
  if (deviceBytes >= clusterBytes) return;
  throw new BlobstoreError(
    'ENOSPC',
    `the device has ${deviceBytes} bytes, less than one cluster of ${clusterBytes}: use a larger device`,
  );
}

/** Throws EINVAL unless the device's block length divides a metadata page. */
export function requireBlockLength(blockLengthBytes: number): void {
  if (blockLengthBytes > 0 && PAGE_BYTES % blockLengthBytes === 0) return;
  throw new BlobstoreError(
    'EINVAL',
    `blocks of ${blockLengthBytes} bytes do not divide a metadata page of ${PAGE_BYTES}: open the device with another block length`,
  );
}

function requireCount(what: string, value: number): void {
  if (Number.isSafeInteger(value) && value > 0) return;
  throw new BlobstoreError('EINVAL', `${what} must be a whole number from 1, not ${value}`);
}
