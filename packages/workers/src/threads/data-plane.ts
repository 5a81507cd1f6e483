/** What moves the bytes of a store in pool mode, as its API objects know it. */

import { BlobstoreError, type BlockDevice, type Geometry, type SharedStore } from '@blobyard/core';
import type { DeviceSpec } from '@blobyard/io';
import type { PromiseChannel, SyncChannel } from '../data/byte-io.js';
import type { ServiceClient } from './service-client.js';

/** What a data plane is started with. */
export interface DataPlaneNeeds {
  /** I/O threads, from 1. */
  readonly threads: number;
  /** Requests that the device is given at once; more wait in the plane. */
  readonly requestsMax: number;
  readonly shared: SharedStore;
  readonly geometry: Geometry;
  /** By what each thread opens the device. */
  readonly deviceSpec: DeviceSpec;
  /** The device as this thread has it open; it stays open until the plane has stopped. */
  readonly device: BlockDevice;
  /** The metadata worker, with the store open. */
  readonly metadata: ServiceClient;
}

export interface DataPlane {
  /** For requests of any number: those that are too many wait. A request never throws, and settles whatever happens. */
  readonly channel: PromiseChannel;
  /** A channel on the calling thread, made at the first call. ENOTSUP when the device is asynchronous. */
  syncChannel(): SyncChannel;
  /** The metadata worker has died: requests under way, and later ones, fail with `error`. Called once, before calls fail. */
  onMetadataDeath(error: BlobstoreError): void;
  /** Ends the threads. Nothing is under way in the channels any more, unless the metadata worker has died. */
  stop(): Promise<void>;
}

export type StartDataPlane = (needs: DataPlaneNeeds) => Promise<DataPlane>;

/** Starts the I/O threads of a store. */
export const startDataPlane: StartDataPlane = async ({ threads }) => {
  const instead = 'leave `threads` out, or make it 0, and all work is done on the calling thread';
  throw new BlobstoreError('ENOTSUP', `${threads} threads were asked for, and there are none yet: ${instead}`);
};
