/**
 * `blobyard/engine`: the engine below the promise API, in clusters and io units. All of it runs on the thread that uses
 * it, on any device; it has no threads, timers or files of its own.
 *
 * `Blobstore` creates and loads a store; `Store.engine` gives the `Blobstore` of an open store. Its operations are
 * generators (`Steps`). `run` executes them and returns a promise; `runSync` executes them in the call itself, on
 * synchronous devices. A `Channel` reads and writes the bytes of blobs.
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
