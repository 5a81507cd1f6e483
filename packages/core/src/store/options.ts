/** Options of initialising and loading a store, and their checks. */

import { BSTYPE_BYTES } from '../format/super-block.js';
import type { Durability, OpenExternalSnapshot } from '../state/store-state.js';
import { BlobstoreError } from '../units/error.js';
import { PAGE_BYTES } from '../units/units.js';

/** Bytes of a cluster unless told otherwise. */
export const CLUSTER_BYTES_DEFAULT = 1 << 20;
/** Requests that a channel takes at once unless told otherwise. */
export const CHANNEL_OPS_DEFAULT = 512;

/** What opening and initialising have in common. */
export interface StoreOptions {
  /** Type of the store, 16 bytes. When opening: the type to expect; all zeroes, the default, matches any. */
  bstype?: Uint8Array;
  /** Requests in promise form that a channel takes at once, from 1; default 512. */
  channelOpsMax?: number;
  /** Default `power-loss`. */
  durability?: Durability;
  /**
   * Keeps the high-water mark on disk, by which recovery knows what to clear. Default true. False, with `process-crash` alone: the
   * disk gets just what the specification writes. Then a crash can leave in a free cluster what was another blob's, and take from a
   * blob what a resize that was not synced had cut off.
   */
  highWater?: boolean;
  /** Opens the devices behind external clones; without it these cannot be opened (ENOTSUP). */
  openExternalSnapshot?: OpenExternalSnapshot;
  /** Given to `openExternalSnapshot`. */
  externalContext?: unknown;
  /** Number of this thread, from 0, unique among those that use the store; default 0. */
  threadId?: number;
}

export interface InitOptions extends StoreOptions {
  /** Bytes of a cluster, a multiple of 4096; default 1 MiB. */
  clusterBytes?: number;
  /** Pages for metadata, from 1: each blob needs one or more; default: one for each cluster. */
  mdPageCount?: number;
  /** How the data clusters are cleared at first; default `unmap`. */
  clearMethod?: 'unmap' | 'write_zeroes' | 'none';
  /** Record the metadata page size in the super block, as newer SPDK expects; default true. */
  recordMdPageSize?: boolean;
}

export interface LoadOptions extends StoreOptions {
  /** Recover even if the store was cleanly unloaded. */
  forceRecover?: boolean;
  /** Called for each blob while the store is opened; the blob is closed afterwards. */
  onBlob?: (blob: LoadedBlob) => void;
  /** Smallest device that is accepted, in bytes; default 1 MiB, as the specification's. */
  clusterBytes?: number;
  /** Called when `onBlob` is going to be called for all blobs again: what it was told before does not count. */
  onRestart?: () => void;
  /**
   * What to do with a damaged store. `refuse`: it is not opened (EILSEQ, a `DamagedStoreError`). `set-aside`: the other blobs
   * can be used, and what belongs, or may belong, to damaged ones stays reserved; where that cannot be told, all of the free
   * space (see `survey/survey.ts`). By default as the specification does: recovery refuses, if it happens to meet damage; after a clean
   * unload damaged blobs are listed, and the masks are believed.
   */
  onDamage?: 'refuse' | 'set-aside';
  /** With `onDamage`: looks at all metadata, also after a clean unload, and where the blobs agree with the masks. */
  survey?: boolean;
}

/** A blob that was found while the store was opened. */
export interface LoadedBlob {
  readonly id: bigint;
  readonly clusterCount: number;
}

/** EINVAL unless the options of initialising are usable, and ENOSPC when the device is smaller than a cluster. */
export function checkInitOptions(options: InitOptions, deviceBytes: number): void {
  const { clusterBytes = CLUSTER_BYTES_DEFAULT, mdPageCount = 1 } = options;
  requireCount('the cluster size in bytes', clusterBytes);
  requireCount('the number of metadata pages', mdPageCount);
  checkStoreOptions(options);
  requireDeviceSize(clusterBytes, deviceBytes);
  if (clusterBytes % PAGE_BYTES !== 0 || clusterBytes > 0xffff_ffff) {
    throw new BlobstoreError(
      'EINVAL',
      `a cluster is a multiple of ${PAGE_BYTES} bytes below 4 GiB, not ${clusterBytes}`,
    );
  }
}

/** Whether the high-water mark is kept: without barriers alone can it be done without. */
export function keepsHighWater({ durability, highWater = true }: StoreOptions): boolean {
  return highWater || durability !== 'process-crash';
}

/** EINVAL unless the common options are usable. */
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

/** ENOSPC when the device cannot hold a cluster. */
export function requireDeviceSize(clusterBytes: number, deviceBytes: number): void {
  if (deviceBytes >= clusterBytes) return;
  throw new BlobstoreError('ENOSPC', `the device has ${deviceBytes} bytes, less than one cluster of ${clusterBytes}`);
}

/** EINVAL unless the device's blocks divide a metadata page. */
export function requireBlockLength(blockLengthBytes: number): void {
  if (blockLengthBytes > 0 && PAGE_BYTES % blockLengthBytes === 0) return;
  throw new BlobstoreError(
    'EINVAL',
    `blocks of ${blockLengthBytes} bytes do not divide a metadata page of ${PAGE_BYTES}`,
  );
}

function requireCount(what: string, value: number): void {
  if (Number.isSafeInteger(value) && value > 0) return;
  throw new BlobstoreError('EINVAL', `${what} must be a whole number from 1, not ${value}`);
}
