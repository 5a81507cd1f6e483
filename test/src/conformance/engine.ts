/**
 * What differs between the engines that replay traces: the device, how steps are run, and the threads of the channels.
 */

import type { Blob, Blobstore, Channel, MaybePromise, Steps } from '@blobyard/core';
import type { DataOperation } from './data-operation.js';
import type { Answer } from './trace.js';
import type { TraceDevice, TraceDeviceOptions } from './trace-device.js';

export interface Engine {
  createDevice(options: TraceDeviceOptions): TraceDevice;
  /** Runs an operation of the metadata thread. */
  run<T>(steps: Steps<T>): MaybePromise<T>;
  /** The channels of a store that was just opened. Each is opened when it is first used. */
  channelsOf(store: Blobstore, device: TraceDevice): StoreChannels;
  /** Ends the engine's threads. */
  close(): Promise<void>;
}

/** The channels of one opening of a store, each opened when it is first used. */
export interface StoreChannels {
  /** Executes an operation on channel `index`. Throws its error, or returns it as the `rc` of the answer. */
  execute(index: number, blob: Blob, operation: DataOperation): Promise<Partial<Answer>>;
  /** The channel of the metadata thread, with which it copies data itself. */
  local(): Channel;
  /** Closes the channels, because the store was closed. */
  close(): Promise<void>;
}
