/** What is told of damage that was found when a store was opened. */

import { BlobstoreError, type Damage, DamagedStoreError } from '../units/error.js';
import { blobIdOfPage, type MdPage } from '../units/units.js';

/** A blob, or a page that no blob can be told to have, that could not be used, and why. */
export interface DamagedBlob extends Damage {
  /** The blob's first page, or the damaged page. */
  readonly page: MdPage;
}

/** Damaged blobs and pages that an error message names. */
const NAMED_MAX = 8;

/** The error with which a store is refused: it names the first few, counts the rest, and holds all. */
export function refusal(damaged: readonly DamagedBlob[]): DamagedStoreError {
  const named = damaged
    .slice(0, NAMED_MAX)
    .map((each) => each.error.message)
    .join('; ');
  const more = damaged.length > NAMED_MAX ? `; and ${damaged.length - NAMED_MAX} more` : '';
  const advice = "open with onDamage: 'set-aside' to use the others";
  return new DamagedStoreError(`the store is damaged: ${named}${more}; ${advice}`, damaged);
}

/** Damage of the blob that begins, or would begin, on a page. */
export function damageAt(page: MdPage, message: string, cause?: unknown): DamagedBlob {
  const options = cause === undefined ? undefined : { cause };
  return { id: blobIdOfPage(page), page, error: new BlobstoreError('EILSEQ', message, options) };
}
