/**
 * Blobyard: a blobstore on one device. `createStore` and `openStore` are where to begin, `attach` is for other threads.
 *
 * - `blobyard/types`: every type of this API by its name, such as the options and results of each method.
 * - `blobyard/devices`: to write a device of your own, or to test with one that fails.
 * - `blobyard/engine`: the engine below, in clusters and io units.
 */

export {
  BlobstoreError,
  type CheckReport,
  DamagedStoreError,
  type ErrorCode,
} from '@blobyard/core';
export { type DeviceSpec, FileDevice, MemoryDevice, SparseMemoryDevice } from '@blobyard/io';
export {
  type AttachedBlob,
  type AttachedStore,
  attach,
  type Blob,
  type BlobInfo,
  type CreateBlobOptions,
  type CreateStoreOptions,
  check,
  createStore,
  type OpenStoreOptions,
  openStore,
  type Store,
  type StoreEvents,
  type StoreHandle,
  type StoreStats,
} from '@blobyard/workers';
