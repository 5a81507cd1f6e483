/** The handle by which other threads attach to a store. */

import type { GeometryFields, SharedStoreBuffers, ThreadIdentity } from '@blobyard/core';
import type { DeviceSpec } from '@blobyard/io';

/**
 * The result of `Store.share`: a plain object, for `attach` on another thread. It can be cloned any number of times,
 * and is small, because the memory in it is shared. Users need none of its members.
 */
export interface StoreHandle {
  /** The version of the handle. `attach` refuses any other (EINVAL). */
  readonly blobyard: 3;
  /** Distinguishes the stores of one process. */
  readonly name: string;
  /** The spec by which each thread opens the device. */
  readonly device: DeviceSpec;
  /**
   * The range from which each thread takes its share of the lock on the device's file. Undefined if there is no lock.
   */
  readonly shareWindow: number | undefined;
  /** Same as `Store.isReadOnly`. */
  readonly isReadOnly: boolean;
  /** The thread that serves the mailboxes, as the operating system identifies it. */
  readonly metadataThread: ThreadIdentity;
  readonly geometry: GeometryFields;
  /** The most promise-form requests that a channel takes at once. */
  readonly channelOpsMax: number;
  readonly buffers: SharedStoreBuffers;
  readonly mailboxes: SharedArrayBuffer;
  /** Same as `Store.damaged`, in a form that can be posted. */
  readonly damaged: readonly { readonly id: bigint; readonly error: unknown }[];
}
