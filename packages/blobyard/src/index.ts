/**
 * Blobyard: a blobstore on one device. Begin with `createStore` and `openStore`. Other threads use an open store by
 * `attach`.
 *
 * - `blobyard/types`: every type of this API by its name, such as the options and results of each method.
 * - `blobyard/devices`: for writing a device of your own, and for tests with devices that fail.
 * - `blobyard/engine`: the engine below this API, which counts in clusters and io units.
 */

export {
  BlobstoreError,
  type CheckReport,
  DamagedStoreError,
  type ErrorCode,
} from '@blobyard/core';
export { type DeviceSpec, FileDevice, MemoryDevice, SparseMemoryDevice } from '@blobyard/io';
export {
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
