/** What a store and the handles of its blobs have in common on the client's thread, in pool mode. */

import type { BlobstoreError, Geometry, SharedStore } from '@blobyard/core';
import { EdgeArrays } from '../data/edge-arrays.js';
import { WriteOrder } from '../data/write-order.js';
import type { HeldDevice } from '../devices/open-device.js';
import type { DataPlane } from '../io-pool/data-plane.js';
import type { StoreHandle } from '../mailbox/store-handle.js';
import type { ServiceClient } from './service-client.js';

/** What all handles of one blob share on this thread. */
export interface BlobCommons {
  name: string | undefined;
  readonly order: WriteOrder;
  /** A number that grows from one to the next. */
  readonly since: number;
}

/** An open handle, as its store knows it. */
export interface PooledHandle {
  readonly id: bigint;
  readonly name: string | undefined;
  readonly isClosed: boolean;
  close(): Promise<void>;
  /** The metadata worker has died. */
  fail(error: BlobstoreError): void;
}

export class PooledContext {
  readonly metadata: ServiceClient;
  readonly plane: DataPlane;
  readonly held: HeldDevice;
  /** What other threads attach by. */
  readonly handle: StoreHandle;
  readonly shared: SharedStore;
  readonly geometry: Geometry;
  readonly edges: EdgeArrays;
  readonly handles = new Set<PooledHandle>();
  /** The store is closed in the metadata worker, and all of its handles. */
  isEnded = false;
  readonly #commons = new Map<bigint, BlobCommons>();
  #since = 0;

  constructor(
    metadata: ServiceClient,
    plane: DataPlane,
    held: HeldDevice,
    handle: StoreHandle,
    shared: SharedStore,
    geometry: Geometry,
  ) {
    this.metadata = metadata;
    this.plane = plane;
    this.held = held;
    this.handle = handle;
    this.shared = shared;
    this.geometry = geometry;
    this.edges = new EdgeArrays(geometry.ioUnitBytes);
  }

  /** Of a blob that was opened; of one that was made just now, new ones. */
  commonsOf(id: bigint, isNew: boolean): BlobCommons {
    let commons = isNew ? undefined : this.#commons.get(id);
    if (commons === undefined) {
      commons = { name: undefined, order: new WriteOrder(true), since: ++this.#since };
      this.#commons.set(id, commons);
    }
    return commons;
  }

  /** Runs a deletion, which answers the blob's id, and forgets the blob, unless another one has got its id meanwhile. */
  async forgetting(deletion: () => Promise<bigint>): Promise<void> {
    const before = this.#since;
    const deleted = await deletion();
    const commons = this.#commons.get(deleted);
    if (commons === undefined || commons.since > before) return;
    commons.name = undefined;
    this.#commons.delete(deleted);
  }
}
