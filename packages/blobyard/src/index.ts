/**
 * Blobyard: a blobstore on one device. Start with `createStore` and `openStore`. The rest is for programs that
 * implement their own devices, or use `Store.engine`, which works in clusters and io units.
 */

export {
  type Blob as EngineBlob,
  type BlobRef,
  type Blobstore,
  BlobstoreError,
  type BlockDevice,
  type Channel,
  type CheckReport,
  type CheckSummary,
  type ClearMethod,
  DamagedStoreError,
  type DeviceChannel,
  type Durability,
  dumpStore,
  ERRNO,
  type ErrorCode,
  type Finding,
  type FindingKind,
  type Geometry,
  isRepairable,
  type MaybePromise,
  run,
  runSync,
  type Steps,
  XATTR_BYTES_MAX,
} from '@blobyard/core';
export * from '@blobyard/io';
export * from '@blobyard/workers';
