/**
 * Repairs a store by opening and unloading it. Opening surveys all metadata. It zeroes garbage in free pages, settles
 * unfinished snapshots, sets damaged blobs aside with everything that they have or may have, and clears what no blob
 * has. Unloading writes the masks again. Nothing that a blob has, or that a damaged blob may have, is written. What
 * counts as a blob is decided in the same way as when a user opens the store. So the blobs that could be read before
 * can be read afterwards, and no others.
 */

import type { BlockDevice } from '../device/block-device.js';
import type { Steps } from '../steps/steps.js';
import { loadStore } from '../store/load.js';
import { abandonStore, unloadStore } from '../store/unload.js';
import { BlobstoreError } from '../units/error.js';
import { PAGE_BYTES } from '../units/units.js';
import type { Finding } from './report.js';

/**
 * Repairs what it can; the caller examines the store again to find out what is left. Returns a finding with the reason
 * if the repair could not be completed.
 * @param allPages - recovery reads every metadata page
 */
export function* repairStore(device: BlockDevice, allPages: boolean): Steps<Finding | undefined> {
  try {
    const store = yield* loadStore(device, { onDamage: 'set-aside', survey: true, allPages, clusterBytes: PAGE_BYTES });
    try {
      yield* unloadStore(store);
    } finally {
      yield* abandonStore(store);
    }
    return undefined;
  } catch (error) {
    if (!(error instanceof BlobstoreError) || error.code === 'EIO') throw error;
    return {
      kind: 'repair',
      severity: 'damage',
      message: `the repair could not be completed: ${error.message}`,
      outcome: 'left',
    };
  }
}
