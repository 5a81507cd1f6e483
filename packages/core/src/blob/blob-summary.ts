/** What a list of blobs shows of each. It is kept of closed blobs too, so that listing them reads nothing. */

import { type BlobFlags, type ClearMethod, clearMethodOf, INVALID_FLAG } from '../format/flags.js';
import { type BlobId, EXTERNAL_SNAPSHOT_ID, INVALID_BLOB_ID } from '../units/units.js';
import { type Blob, INTERNAL_XATTR } from './blob.js';

/** An open `Blob` is one, too. */
export interface BlobSummary {
  readonly clusterCount: number;
  /** Clusters that the blob has itself, not its snapshot. */
  readonly allocatedCount: number;
  readonly isThin: boolean;
  readonly dataRo: boolean;
  /** `INVALID_BLOB_ID` without a parent, `EXTERNAL_SNAPSHOT_ID` if that is outside the store. */
  readonly parentId: BlobId;
  readonly externalSnapshotId: Uint8Array | undefined;
  readonly clearMethod: ClearMethod;
}

/** The summary of a closed blob. Closing a blob is frequent, so what has to be worked out is so when it is asked for. */
export class ClosedBlob implements BlobSummary {
  clusterCount = 0;
  allocatedCount = 0;
  dataRo = false;
  parentId: BlobId = INVALID_BLOB_ID;
  #flags: BlobFlags = { invalid: 0n, dataRo: 0n, mdRo: 0n };
  #isThin: boolean | undefined;
  #clearMethod: ClearMethod | undefined;
  #externalId: Uint8Array | undefined;

  /** Takes what a blob has that is being closed. */
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

  /** Not the one that was chosen when the blob was opened. */
  get clearMethod(): ClearMethod {
    this.#clearMethod ??= clearMethodOf(this.#flags.mdRo);
    return this.#clearMethod;
  }
}
