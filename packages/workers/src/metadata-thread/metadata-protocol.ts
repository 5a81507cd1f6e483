/** The messages between a client and its metadata worker. All of them can be posted to a thread. */

import type { MessagePort } from 'node:worker_threads';
import type { InitOptions, LoadOptions } from '@blobyard/core';
import type { DeviceSpec } from '@blobyard/io';
import type { FoundBlob } from '../api/store.js';
import type { StoreHandle } from '../api/store-handle.js';

/** The `workerData` of a metadata worker. */
export interface MetadataWorkerData {
  /** Calls of the client, over comlink. */
  readonly service: MessagePort;
  /** `ServiceEvent`s, from the worker to the client. */
  readonly events: MessagePort;
}

/** Options of the engine without functions, which cannot be posted. */
type Plain<T> = Omit<T, 'openExternalSnapshot' | 'externalContext' | 'onBlob'>;

/** The store that is to be created or opened. */
export type StorePlan = {
  readonly device: DeviceSpec;
  /**
   * The first byte of the range in which threads take their shares of the client's lock on the device's file. Undefined
   * if the client has no lock.
   */
  readonly shareWindow: number | undefined;
  readonly lowSpaceBytes: number | undefined;
  readonly syncIntervalMs: number | undefined;
  /** True if the client has a callback that finds the devices of external snapshots. */
  readonly findsExternal: boolean;
} & (
  | { readonly kind: 'create'; readonly init: Plain<InitOptions> }
  | { readonly kind: 'open'; readonly load: Plain<LoadOptions>; readonly readOnly: boolean; readonly grow: boolean }
);

export interface OpenedStore {
  /** The handle by which threads attach to it. */
  readonly handle: StoreHandle;
  /** The blobs that were found, in the order of their ids. */
  readonly found: readonly FoundBlob[];
}
