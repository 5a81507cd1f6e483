/** `blobyard/types`: every type of the API by its name. It exports only types. */

export type {
  CheckReport,
  CheckSummary,
  ClearMethod,
  Durability,
  ErrorCode,
  Finding,
  FindingKind,
} from '@blobyard/core';
export type {
  CustomDeviceModule,
  CustomDeviceSpec,
  DeviceSpec,
  FileDeviceOptions,
  FileDeviceSpec,
  FilePath,
  MemoryDeviceOptions,
  MemoryDeviceSpec,
  SharedMemoryDeviceOptions,
  SparseMemoryDeviceOptions,
  SparseMemoryDeviceSpec,
} from '@blobyard/io';
export type * from '@blobyard/workers';
