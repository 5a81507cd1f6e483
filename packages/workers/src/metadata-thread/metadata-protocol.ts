/** What a client and its metadata worker tell each other: all of it can be posted to a thread. */

import type { MessagePort } from 'node:worker_threads';
import type { InitOptions, LoadOptions } from '@blobyard/core';
import type { DeviceSpec } from '@blobyard/io';
import type { FoundBlob } from '../api/store.js';
import type { StoreHandle } from '../api/store-handle.js';

/** What a metadata worker is started with. */
export interface MetadataWorkerData {
  /** Calls of the client, by comlink. */
  readonly service: MessagePort;
  /** `ServiceEvent`s, from the worker to the client. */
  readonly events: MessagePort;
}

/** Options of the engine without their functions. */
type Plain<T> = Omit<T, 'openExternalSnapshot' | 'externalContext' | 'onBlob'>;

/** Which store is to be made or opened. */
export type StorePlan = {
  readonly device: DeviceSpec;
  /** Where shares are taken of the lock that the client has on the device's file; undefined when it has none. */
  readonly shareWindow: number | undefined;
  readonly lowSpaceBytes: number | undefined;
  readonly syncIntervalMs: number | undefined;
  /** The client can be asked for external snapshots. */
  readonly findsExternal: boolean;
} & (
  | { readonly kind: 'create'; readonly init: Plain<InitOptions> }
  | { readonly kind: 'open'; readonly load: Plain<LoadOptions>; readonly grow: boolean }
);

export interface OpenedStore {
  /** By what threads attach to it. */
  readonly handle: StoreHandle;
  /** The blobs that were found, in the order of their ids. */
  readonly found: readonly FoundBlob[];
}
