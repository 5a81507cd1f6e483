/**
 * Repairing a store: it is opened and unloaded again. Opening looks at all metadata: it zeroes what lies in free pages, settles
 * snapshots that were under way, sets aside what is damaged with all that it has or may have, and clears what nobody has;
 * unloading makes the masks anew. Nothing that a blob has, or a damaged one may have, is written. What is a blob is decided as
 * when a user opens the store: so whoever could be read before can be read afterwards, and nobody else.
 */

import type { BlockDevice } from '../device/block-device.js';
import type { Steps } from '../steps/steps.js';
import { loadStore } from '../store/load.js';
import { abandonStore, unloadStore } from '../store/unload.js';
import { BlobstoreError } from '../units/error.js';
import { PAGE_BYTES } from '../units/units.js';
import type { Finding } from './report.js';

/** Repairs what it can; what is left is found by looking again. Answers why it could not go on. */
export function* repairStore(device: BlockDevice): Steps<Finding | undefined> {
  try {
    const store = yield* loadStore(device, { onDamage: 'set-aside', survey: true, clusterBytes: PAGE_BYTES });
    try {
      yield* unloadStore(store);
    } finally {
      yield* abandonStore(store);
    }
    return undefined;
  } catch (error) {
    if (!(error instanceof BlobstoreError) || error.code === 'EIO') throw error;
    return { kind: 'repair', severity: 'damage', message: `repairing ended early: ${error.message}`, outcome: 'left' };
  }
}
