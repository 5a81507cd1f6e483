/** What the other packages of this project need of this one, and its users do not. It may change at any time. */

export { isBlockDevice } from './block-device-check.js';
export { type BulkMemory, bulkMemory, createSharedMemory, type SharedWasmMemory } from './bulk-memory.js';
export { type CopyBytes, copyBytes } from './copy-bytes.js';
export { describeValue } from './describe-value.js';
export { openDeviceNowOrLater } from './device-spec.js';
export type { SameFile } from './file-identity.js';
export { mediumSizeBytes, probeSizeBytes } from './medium-size.js';
export { isDetached } from './option-checks.js';
