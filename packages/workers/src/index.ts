/** The promise API of a store. */

export type * from './api/blob.js';
export type { CopyOptions, LongWorkOptions, Progress } from './api/long-work.js';
export type * from './api/store.js';
export { type AttachedStore, attach } from './attached/attach.js';
export type { AttachedBlob } from './attached/attached-blob.js';
export { type CheckStoreOptions, check } from './check-store.js';
export type { StoreHandle } from './mailbox/store-handle.js';
export { createStore, openStore } from './open-store.js';
