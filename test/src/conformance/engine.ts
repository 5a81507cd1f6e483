/** What the engines that replay traces differ in: the device, how operations are run, and where the channels of a store live. */

import type { Blob, Blobstore, Channel, MaybePromise, Steps } from '@blobyard/core';
import type { DataOperation } from './data-operation.js';
import type { Answer } from './trace.js';
import type { TraceDevice, TraceDeviceOptions } from './trace-device.js';

export interface Engine {
  createDevice(options: TraceDeviceOptions): TraceDevice;
  /** Runs an operation of the metadata thread. */
  run<T>(steps: Steps<T>): MaybePromise<T>;
  /** The channels of a store that was just opened; none is open yet. */
  channelsOf(store: Blobstore, device: TraceDevice): StoreChannels;
  /** Ends the engine's threads. */
  close(): Promise<void>;
}

/** The channels of one opening of a store, each opened when it is first used. */
export interface StoreChannels {
  /** Executes an operation on channel `index`. Its failure is thrown, or is the `rc` of the answer. */
  execute(index: number, blob: Blob, operation: DataOperation): Promise<Partial<Answer>>;
  /** The channel of the metadata thread, for its own copying. */
  local(): Channel;
  /** The store has ended: the channels end too. */
  close(): Promise<void>;
}
