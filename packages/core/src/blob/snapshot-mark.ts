/** Whether a blob is a snapshot, or is about to become one, or is ceasing to be one. */

import type { BlobId } from '../units/units.js';
import { type Blob, INTERNAL_XATTR } from './blob.js';

/** True for a blob that may have clones: a snapshot, or a blob that is being made one. Its data must not be written. */
export function mayHaveClones(blob: Blob): boolean {
  return blob.dataRo || otherOf(blob) !== undefined;
}

/**
 * The other blob of a snapshot that is being created or deleted, from its mark (an internal xattr); undefined without
 * one.
 */
export function otherOf(blob: Blob): BlobId | undefined {
  return (
    blob.internalId(INTERNAL_XATTR.SNAPSHOT_PENDING_REMOVAL) ?? blob.internalId(INTERNAL_XATTR.SNAPSHOT_IN_PROGRESS)
  );
}
