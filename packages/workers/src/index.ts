/** The promise API of a store. */

export type { AbortableOptions } from './api/abort.js';
export type * from './api/blob.js';
export type { CopyOptions, LongWorkOptions, Progress } from './api/long-work.js';
export type * from './api/store.js';
export type { StoreHandle } from './api/store-handle.js';
export { attach } from './attached/attach.js';
export { type CheckStoreOptions, check } from './open/check-store.js';
export { createStore, openStore } from './open/open-store.js';
