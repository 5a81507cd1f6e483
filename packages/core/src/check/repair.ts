/**
 * Repairing a store: it is opened and unloaded again. Opening looks at all metadata where something does not agree: it settles
 * snapshots that were under way, sets aside what is damaged with all that it has or may have, and clears what nobody has;
 * unloading makes the masks anew. Nothing that a blob has, or a damaged one may have, is written.
 */

import type { BlockDevice } from '../device/block-device.js';
import { BlobstoreError } from '../error.js';
import { zeroPages } from '../metadata/clearing.js';
import type { Steps } from '../metadata/steps.js';
import { loadStore } from '../store/load.js';
import type { StoreState } from '../store/store-state.js';
import { abandonStore, unloadStore } from '../store/unload.js';
import { type MdPage, PAGE_BYTES } from '../units/units.js';
import type { Finding } from './report.js';

/** Repairs what it can; what is left is found by looking again. Answers why it could not go on. */
export function* repairStore(device: BlockDevice, findings: readonly Finding[]): Steps<Finding | undefined> {
  try {
    const store = yield* loadStore(device, { onDamage: 'set-aside', survey: true, clusterBytes: PAGE_BYTES });
    try {
      yield* clearNoise(store, findings);
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

/** Zeroes free pages that hold noise: after a crash nobody could tell that they are free. */
function* clearNoise(store: StoreState, findings: readonly Finding[]): Steps<void> {
  const noise = findings.filter(({ kind, severity }) => kind === 'page' && severity === 'note');
  const { pages } = store.shared;
  const free = store.shared.locked(() => noise.filter(({ page }) => page !== undefined && !pages.isUsed(page)));
  yield* zeroPages(
    store,
    free.map(({ page }) => page as MdPage),
  );
}
