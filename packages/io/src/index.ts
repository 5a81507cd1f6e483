/** Devices and the lock of a store. */

export { allocateAligned, DIRECT_ALIGNMENT_BYTES, isAligned } from './aligned-buffer.js';
export { type AsyncDeviceOptions, asyncDevice } from './async-device.js';
export {
  type CustomDeviceModule,
  type CustomDeviceSpec,
  type DeviceSpec,
  type FileDeviceSpec,
  type MemoryDeviceSpec,
  openDevice,
  postableSpec,
  type SparseMemoryDeviceSpec,
  sharedSpec,
} from './device-spec.js';
export { deviceSuite } from './device-suite.js';
export { type Gate, OPERATION_KINDS, type OperationKind, type PowerlessWrites } from './fault-plan.js';
export { FaultyDevice, type FaultyDeviceOptions } from './faulty-device.js';
export { FileDevice, type FileDeviceOptions } from './file-device.js';
export { checkPath, type FilePath } from './file-path.js';
export { type FileSystem, nodeFileSystem } from './file-system.js';
export { MemoryDevice, type MemoryDeviceOptions, type SharedMemoryDeviceOptions } from './memory-device.js';
export { OverlayDevice } from './overlay-device.js';
export { isResizable, type ResizableDevice } from './resizable-device.js';
export { SparseMemoryDevice, type SparseMemoryDeviceOptions } from './sparse-memory-device.js';
export * from './store-lock.js';
export type { DeviceFactory, SuiteDevice, SuiteTestApi } from './suite-bench.js';
