/** The state that a store whose metadata is on this thread shares with the references to its blobs. */

import {
  type BlobSummary,
  type Blobstore,
  BlobstoreError,
  type BlockDevice,
  type Channel,
  type Blob as EngineBlob,
  EXTERNAL_SNAPSHOT_ID,
  INVALID_BLOB_ID,
  type Pause,
  run,
  runSync,
  type Steps,
  type Watched,
} from '@blobyard/core';
import type { BlobInfo } from '../api/blob.js';
import { callUser } from '../api/failures.js';
import { InfoObject } from '../api/info-object.js';
import type { LongWorkOptions } from '../api/long-work.js';
import { FlushRounds } from '../data/flush-rounds.js';
import { longWorkTurns, operationTurns } from '../data/loop-turns.js';
import { SetsByKey } from '../data/sets-by-key.js';
import { type BlobNaming, namingOf } from './blob-naming.js';
import { BlobTurns } from './blob-turns.js';
import type { Catalogue } from './catalogue.js';
import { LockTable } from './lock-table.js';

/** A reference to an open blob, as the store sees it. */
export interface BlobReference {
  readonly id: bigint;
  /** True while the reference is being released. */
  readonly isClosing: boolean;
  close(): Promise<void>;
}

/** Metadata thread. */
export class StoreContext {
  readonly blobstore: Blobstore;
  /** For all transfers of the API. */
  readonly channel: Channel;
  readonly turns: BlobTurns;
  readonly catalogue: Catalogue;
  readonly naming: BlobNaming;
  /** References that have not been released, by the id of their blob. */
  readonly references = new SetsByKey<bigint, BlobReference>();
  readonly clusterBytes: number;
  readonly #flushRounds = new FlushRounds<bigint | 'store'>();

  constructor(blobstore: Blobstore, catalogue: Catalogue) {
    this.blobstore = blobstore;
    this.channel = blobstore.openChannel();
    this.turns = new BlobTurns(blobstore, new LockTable());
    this.catalogue = catalogue;
    this.naming = namingOf(blobstore);
    this.clusterBytes = blobstore.geometry.clusterBytes;
  }

  get device(): BlockDevice {
    return this.blobstore.device;
  }

  /**
   * Runs an operation of the engine. It begins at once, or in a later turn of the event loop if the time slice for
   * operations in this turn is used up.
   * @param pause - called at the operation's pauses; by default lets the event loop turn
   */
  async run<T>(steps: Steps<T>, pause: Pause = pauseForOthers): Promise<T> {
    return operationTurns.tryPass() ? run(steps, pause) : operationTurns.later(() => run(steps, pause));
  }

  /**
   * Runs an operation of the engine synchronously. Throws ENOTSUP on an asynchronous device, EBUSY if it would wait.
   */
  runNow<T>(steps: Steps<T>): T {
    if (!this.device.synchronous) {
      throw new BlobstoreError('ENOTSUP', 'the device is asynchronous: use the promise form of this call');
    }
    try {
      return runSync(steps);
    } catch (error) {
      if (!(error instanceof BlobstoreError) || error.code !== 'ENOTSUP') throw error;
      throw new BlobstoreError('EBUSY', error.message, { cause: error.cause });
    }
  }

  /**
   * Runs a flush with the locks that it needs, or shares one that has not begun (group commit). Flushes of the same
   * blob, or of the store, run one after another, because they need the same locks.
   * @param of - the id of the blob that is flushed, or the store
   * @param locked - the blobs whose metadata it writes
   */
  flush(of: bigint | 'store', locked: readonly bigint[], flush: () => Steps<void>): Promise<void> {
    return this.#flushRounds.share(of, (begin) =>
      this.turns.withState(locked, async () => {
        await this.run(this.blobstore.gatherFlushes());
        begin();
        await this.run(flush());
      }),
    );
  }

  /** The info of a blob. */
  infoOf(id: bigint, name: string | undefined, summary: BlobSummary): BlobInfo {
    const { blobstore, clusterBytes } = this;
    const { parentId } = summary;
    const isClone = parentId !== INVALID_BLOB_ID;
    const isExternal = isClone && parentId === EXTERNAL_SNAPSHOT_ID;
    const clones = blobstore.clonesIfSnapshot(id);
    return new InfoObject({
      id,
      name,
      sizeBytes: summary.clusterCount * clusterBytes,
      allocatedBytes: summary.allocatedCount * clusterBytes,
      thin: summary.isThin,
      readOnly: summary.dataRo,
      snapshot: clones !== undefined,
      clone: isClone,
      parentId: isClone && !isExternal ? parentId : undefined,
      clones: clones ?? [],
      externalSnapshotId: summary.externalSnapshotId,
      clearMethod: summary.clearMethod,
    });
  }

  /** Options of long work in the engine's form, which counts clusters instead of bytes. */
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

/** Lets the event loop turn if long work has used up its time slice in this turn. */
export const pauseForOthers: Pause = () => longWorkTurns.pass();

/** The snapshot in this store that an open blob is a clone of; undefined if there is none. */
export function parentOf(blob: EngineBlob): bigint | undefined {
  return blob.isClone && blob.parentId !== INVALID_BLOB_ID ? blob.parentId : undefined;
}

/** The store's super blob; undefined if there is none. */
export function superBlobOf(blobstore: Blobstore): bigint | undefined {
  try {
    return blobstore.getSuper();
  } catch (error) {
    if (isCoded(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** True for an error of the engine with a code. */
export function isCoded(error: unknown, code: BlobstoreError['code']): boolean {
  return error instanceof BlobstoreError && error.code === code;
}
