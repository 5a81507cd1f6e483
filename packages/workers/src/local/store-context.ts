/** What a store and the handles of its blobs have in common, when all of it lives on one thread. */

import {
  type Blobstore,
  BlobstoreError,
  type BlockDevice,
  type Channel,
  type Blob as EngineBlob,
  INVALID_BLOB_ID,
  type Pause,
  run,
  type Steps,
  type Watched,
} from '@blobyard/core';
import type { BlobInfo } from '../api/blob.js';
import { callUser } from '../api/failures.js';
import type { LongWorkOptions } from '../api/long-work.js';
import { EdgeArrays } from '../data/edge-arrays.js';
import { longWorkTurns, operationTurns } from '../data/loop-turns.js';
import { type PartSizes, partSizes } from '../data/parts.js';
import { RequestSlots } from '../data/request-slots.js';
import { WriteOrder } from '../data/write-order.js';
import { type BlobNaming, namingOf } from './blob-naming.js';
import { BlobTurns } from './blob-turns.js';
import type { Catalogue } from './catalogue.js';
import { LockTable } from './lock-table.js';

/** An open handle, as its store knows it. */
export interface Handle {
  readonly id: bigint;
  readonly isClosed: boolean;
  close(): Promise<void>;
}

export class StoreContext {
  readonly blobstore: Blobstore;
  /** For all transfers of the API. */
  readonly channel: Channel;
  readonly slots: RequestSlots;
  readonly edges: EdgeArrays;
  readonly parts: PartSizes;
  readonly turns: BlobTurns;
  readonly catalogue: Catalogue;
  readonly naming: BlobNaming;
  readonly handles = new Set<Handle>();
  /** Handles of one blob share the order of its writes. */
  readonly #orders = new WeakMap<EngineBlob, WriteOrder>();

  constructor(blobstore: Blobstore, catalogue: Catalogue, requestsMax: number) {
    this.blobstore = blobstore;
    this.channel = blobstore.openChannel();
    this.slots = new RequestSlots(requestsMax);
    const { clusterBytes, ioUnitBytes } = blobstore.geometry;
    this.edges = new EdgeArrays(ioUnitBytes);
    this.parts = partSizes(clusterBytes, ioUnitBytes);
    this.turns = new BlobTurns(blobstore, new LockTable());
    this.catalogue = catalogue;
    this.naming = namingOf(blobstore);
  }

  get device(): BlockDevice {
    return this.blobstore.device;
  }

  get clusterBytes(): number {
    return this.blobstore.geometry.clusterBytes;
  }

  orderOf(blob: EngineBlob): WriteOrder {
    let order = this.#orders.get(blob);
    if (order === undefined) {
      order = new WriteOrder();
      this.#orders.set(blob, order);
    }
    return order;
  }

  /**
   * Runs an operation of the engine, when it is time for it, and lets the event loop turn at its pauses.
   * @param pause - in the place of that
   */
  async run<T>(steps: Steps<T>, pause: Pause = pauseForOthers): Promise<T> {
    return operationTurns.tryPass() ? run(steps, pause) : operationTurns.later(() => run(steps, pause));
  }

  /** What is known about an open blob. */
  infoOf(blob: EngineBlob): BlobInfo {
    const { blobstore, clusterBytes } = this;
    return {
      id: blob.id,
      name: this.catalogue.nameOf(blob.id),
      sizeBytes: blob.clusterCount * clusterBytes,
      allocatedBytes: blob.map.allocatedCount * clusterBytes,
      thin: blob.isThin,
      readOnly: blob.dataRo,
      snapshot: blobstore.isSnapshot(blob.id),
      clone: blob.isClone || blob.isExternalClone,
      parentId: parentOf(blob),
      clones: [...blobstore.clonesOf(blob.id)],
      externalSnapshotId: blobstore.externalSnapshotId(blob),
      clearMethod: blob.clearMethod,
    };
  }

  /** Options of long work as the engine wants them: it counts clusters. */
  watch({ signal, onProgress }: LongWorkOptions): Watched {
    if (onProgress === undefined) return { signal };
    const { clusterBytes } = this;
    return {
      signal,
      onProgress(done, total) {
        callUser('onProgress', onProgress, { doneBytes: done * clusterBytes, totalBytes: total * clusterBytes });
      },
    };
  }
}

const pauseForOthers: Pause = () => longWorkTurns.pass();

/** The snapshot in this store that an open blob is a clone of. */
export function parentOf(blob: EngineBlob): bigint | undefined {
  return blob.isClone && blob.parentId !== INVALID_BLOB_ID ? blob.parentId : undefined;
}

/** The blob that the store's users begin at, if one is named. */
export function superBlobOf(blobstore: Blobstore): bigint | undefined {
  try {
    return blobstore.getSuper();
  } catch (error) {
    if (error instanceof BlobstoreError && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
