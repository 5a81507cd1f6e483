/** Errors for damage that is found when a store is opened. */

import { BlobstoreError, type Damage, DamagedStoreError } from '../units/error.js';
import { blobIdOfPage, type MdPage } from '../units/units.js';

/** A blob that could not be used, or a damaged page whose blob is not known, with the reason. */
export interface DamagedBlob extends Damage {
  /** The blob's first page, or the damaged page. */
  readonly page: MdPage;
}

/** The most damaged blobs and pages that one error message names. */
const NAMED_MAX = 8;

/**
 * The error of an open that is refused because of damage. The message names the first few and counts the rest;
 * `damaged` has all.
 */
export function refusal(damaged: readonly DamagedBlob[]): DamagedStoreError {
  const named = damaged
    .slice(0, NAMED_MAX)
    .map((each) => each.error.message)
    .join('; ');
  const more = damaged.length > NAMED_MAX ? `; and ${damaged.length - NAMED_MAX} more` : '';
  const advice = "open with onDamage: 'set-aside' to use the others";
  return new DamagedStoreError(`the store is damaged: ${named}${more}; ${advice}`, damaged);
}

/** The damage of the blob whose chain begins, or would begin, at a page. */
export function damageAt(page: MdPage, message: string, cause?: unknown): DamagedBlob {
  const options = cause === undefined ? undefined : { cause };
  return { id: blobIdOfPage(page), page, error: new BlobstoreError('EILSEQ', message, options) };
}
