/**
 * What a list of blobs shows of each blob. It is also kept for blobs that were closed, so that the list needs no reads
 * of the device.
 */

import { type BlobFlags, type ClearMethod, clearMethodOf, INVALID_FLAG } from '../format/flags.js';
import { type BlobId, EXTERNAL_SNAPSHOT_ID, INVALID_BLOB_ID } from '../units/units.js';
import { type Blob, INTERNAL_XATTR } from './blob.js';

/** What a list shows of one blob. An open `Blob` has all of it, too. */
export interface BlobSummary {
  /** True if the blob is open: then the values may change at any time. */
  readonly isOpen: boolean;
  readonly clusterCount: number;
  /** Clusters allocated in the blob itself, without those of the snapshot behind it. */
  readonly allocatedCount: number;
  readonly isThin: boolean;
  readonly dataRo: boolean;
  /** `INVALID_BLOB_ID` without a parent, `EXTERNAL_SNAPSHOT_ID` if the parent is outside the store. */
  readonly parentId: BlobId;
  readonly externalSnapshotId: Uint8Array | undefined;
  readonly clearMethod: ClearMethod;
}

/**
 * The summary of a closed blob. Blobs are closed often, so closing only keeps raw values; the getters compute the rest.
 */
export class ClosedBlob implements BlobSummary {
  clusterCount = 0;
  allocatedCount = 0;
  dataRo = false;
  parentId: BlobId = INVALID_BLOB_ID;
  #flags: BlobFlags = { invalid: 0n, dataRo: 0n, mdRo: 0n };
  #isThin: boolean | undefined;
  #clearMethod: ClearMethod | undefined;
  #externalId: Uint8Array | undefined;

  get isOpen(): boolean {
    return false;
  }

  /** Takes the values of a blob that is being closed. */
  keep(blob: Blob): void {
    this.clusterCount = blob.clusterCount;
    this.allocatedCount = blob.allocatedCount;
    this.dataRo = blob.dataRo;
    this.parentId = blob.parentId;
    this.#flags = blob.flags;
    this.#isThin = undefined;
    this.#clearMethod = undefined;
    this.#externalId =
      blob.parentId === EXTERNAL_SNAPSHOT_ID ? blob.internalXattrs.get(INTERNAL_XATTR.EXTERNAL_SNAPSHOT) : undefined;
  }

  get isThin(): boolean {
    this.#isThin ??= (this.#flags.invalid & INVALID_FLAG.THIN) !== 0n;
    return this.#isThin;
  }

  get externalSnapshotId(): Uint8Array | undefined {
    return this.#externalId?.slice();
  }

  /** The clear method in the metadata on disk, whatever method the blob was opened with. */
  get clearMethod(): ClearMethod {
    this.#clearMethod ??= clearMethodOf(this.#flags.mdRo);
    return this.#clearMethod;
  }
}
