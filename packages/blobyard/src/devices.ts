/**
 * `blobyard/devices`: for writing a device of your own and testing it, and for tests with devices that fail.
 *
 * A device is an object with the properties and methods of `BlockDevice`. `deviceSuite` tests that it keeps the rules
 * of `BlockDevice`. In a store with threads, each thread opens the device by a spec of kind 'custom'
 * (`CustomDeviceSpec`). `FaultyDevice` makes operations fail, tears writes (torn write), and delays operations, where a
 * test asks for it. `asyncDevice` makes a device asynchronous. `OverlayDevice` keeps all writes in memory.
 */

export type { BlockDevice, DeviceChannel, MaybePromise, RequestOptions } from '@blobyard/core';
export {
  type AsyncDeviceOptions,
  acquireStoreLock,
  allocateAligned,
  asyncDevice,
  type CustomDeviceModule,
  type CustomDeviceSpec,
  type DeviceFactory,
  type DeviceSpec,
  DIRECT_ALIGNMENT_BYTES,
  deviceSuite,
  FaultyDevice,
  type FaultyDeviceOptions,
  FileDevice,
  type FileDeviceOptions,
  type FileDeviceSpec,
  type FilePath,
  type FileSystem,
  type Gate,
  isAligned,
  isResizable,
  MemoryDevice,
  type MemoryDeviceOptions,
  type MemoryDeviceSpec,
  nodeFileSystem,
  OPERATION_KINDS,
  type OperationKind,
  OverlayDevice,
  openDevice,
  type PowerlessWrites,
  type ResizableDevice,
  type SharedMemoryDeviceOptions,
  SparseMemoryDevice,
  type SparseMemoryDeviceOptions,
  type SparseMemoryDeviceSpec,
  type StoreLock,
  type StoreLockHolder,
  type StoreLockOptions,
  type SuiteDevice,
  type SuiteTestApi,
  sharedSpec,
  storeLockHolder,
} from '@blobyard/io';
