/**
 * `blobyard/devices`: to write a device of your own, to test it, and to test with it.
 *
 * A device is an object with the properties and methods of `BlockDevice`; `deviceSuite` tests that it keeps the rules. In a
 * store with threads each thread opens the device by a spec of kind 'custom' (`CustomDeviceSpec`). `FaultyDevice` fails,
 * tears and delays operations where a test wants it, `asyncDevice` makes a device asynchronous, `OverlayDevice` keeps all
 * writes in memory.
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
