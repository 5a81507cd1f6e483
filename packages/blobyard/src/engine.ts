/**
 * `blobyard/engine`: the engine below the promise API, in clusters and io units. It runs whole on one thread, on any
 * device, with no thread, timer or file of its own.
 *
 * `Blobstore` makes and loads a store; `Store.engine` is the one of an open store. Its operations are generators (`Steps`),
 * which `run` executes with promises, and `runSync` on synchronous devices at once. A `Channel` moves the bytes of blobs.
 */

export {
  type Blob as EngineBlob,
  type BlobRef,
  Blobstore,
  type BlockDevice,
  Channel,
  type CreateOptions,
  checkStore,
  type DeviceChannel,
  dumpStore,
  ERRNO,
  Geometry,
  type InitOptions,
  isRepairable,
  type LoadOptions,
  type MaybePromise,
  type OpenBlobOptions,
  type Pause,
  run,
  runSync,
  type Steps,
  type Watched,
  XATTR_BYTES_MAX,
  type Xattrs,
} from '@blobyard/core';
