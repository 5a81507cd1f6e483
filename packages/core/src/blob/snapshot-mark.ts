/** What a blob says of being a snapshot, or of becoming one or ceasing to be one. */

import type { BlobId } from '../units/units.js';
import { type Blob, INTERNAL_XATTR } from './blob.js';

/** True for a snapshot, or what is about to be one: what is behind a clone cannot be written. */
export function mayHaveClones(blob: Blob): boolean {
  return blob.dataRo || otherOf(blob) !== undefined;
}

/** The blob that the mark of a snapshot being made or deleted names. */
export function otherOf(blob: Blob): BlobId | undefined {
  return (
    blob.internalId(INTERNAL_XATTR.SNAPSHOT_PENDING_REMOVAL) ?? blob.internalId(INTERNAL_XATTR.SNAPSHOT_IN_PROGRESS)
  );
}
