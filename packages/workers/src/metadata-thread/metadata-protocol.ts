/** What a client and its metadata worker tell each other: all of it can be posted to a thread. */

import type { MessagePort } from 'node:worker_threads';
import type { InitOptions, LoadOptions } from '@blobyard/core';
import type { DeviceSpec } from '@blobyard/io';
import type { Progress } from '../api/long-work.js';
import type { FoundBlob, LowSpace } from '../api/store.js';
import type { StoreHandle } from '../mailbox/store-handle.js';
import type { WireError } from '../threads/wire-error.js';

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
  readonly requestsMax: number;
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
  readonly damaged: readonly { readonly id: bigint; readonly error: WireError }[];
  /** The blobs that were found, in the order of their ids. */
  readonly found: readonly FoundBlob[];
}

/** A blob that was opened for the client, and how it finds it in shared memory. */
export interface OpenedBlob {
  /** By which the client names it from now on. */
  readonly handle: number;
  readonly id: bigint;
  readonly name: string | undefined;
  readonly slot: number;
  readonly generation: number;
}

/** Long work of the client's that it follows. */
export interface Followed {
  /** By which worker and client name it. */
  readonly call: number;
  /** The client is told of progress, and the work waits each time until it has seen it. */
  readonly hasProgress: boolean;
}

export type ServiceEvent =
  | { readonly kind: 'progress'; readonly call: number; readonly progress: Progress }
  | {
      readonly kind: 'external';
      readonly request: number;
      readonly blobId: bigint;
      readonly snapshotId: Uint8Array;
    }
  | { readonly kind: 'low-space'; readonly lowSpace: LowSpace }
  /** The device of an answered request is not used any more. */
  | { readonly kind: 'external-closed'; readonly request: number };

/** What the client has found for a request of kind `external`. */
export type ExternalAnswer = { readonly spec: DeviceSpec | null } | { readonly error: WireError };
