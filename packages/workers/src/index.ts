/** The promise API of a store. */

export type * from './api/blob.js';
export type { CopyOptions, LongWorkOptions, Progress } from './api/long-work.js';
export type * from './api/store.js';
export { type CheckStoreOptions, check } from './check-store.js';
export { createStore, openStore } from './open-store.js';
export { type AttachedStore, attach } from './threads/attach.js';
export type { AttachedBlob } from './threads/attached-blob.js';
export type { StoreHandle } from './threads/store-handle.js';
