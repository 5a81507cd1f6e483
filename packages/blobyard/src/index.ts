/**
 * Blobyard: a blobstore on one device. `createStore` and `openStore` are where to begin; the rest is for those who bring a
 * device of their own, or go on in clusters and io units through `Store.engine`.
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
