/** What a store gives to other threads, to attach by. */

import type { GeometryFields, SharedStoreBuffers, ThreadIdentity } from '@blobyard/core';
import type { DeviceSpec } from '@blobyard/io';

/** Plain, cloneable any number of times, and small, since it shares memory. Its members are for `attach`. */
export interface StoreHandle {
  readonly blobyard: 2;
  /** Tells stores of a process apart. */
  readonly name: string;
  /** How each thread opens the device. */
  readonly device: DeviceSpec;
  /** Where each thread takes its share of the lock on the device's file; undefined when there is none. */
  readonly shareWindow: number | undefined;
  /** Who answers the mailboxes, as the system knows it. */
  readonly metadataThread: ThreadIdentity;
  readonly geometry: GeometryFields;
  /** Requests in promise form that a channel takes at once. */
  readonly channelOpsMax: number;
  readonly buffers: SharedStoreBuffers;
  readonly mailboxes: SharedArrayBuffer;
  /** As `Store.damaged`, as it can be posted. */
  readonly damaged: readonly { readonly id: bigint; readonly error: unknown }[];
}
