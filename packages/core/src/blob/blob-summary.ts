/** What a list of blobs shows of each. It is kept of closed blobs too, so that listing them reads nothing. */

import type { ClearMethod } from '../format/flags.js';
import type { BlobId } from '../units/units.js';
import type { Blob } from './blob.js';

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

/** A copy of what is shown of an open blob. */
export function summaryOf(blob: Blob): BlobSummary {
  const { clusterCount, allocatedCount, isThin, dataRo, parentId, externalSnapshotId, clearMethod } = blob;
  return { clusterCount, allocatedCount, isThin, dataRo, parentId, externalSnapshotId, clearMethod };
}
