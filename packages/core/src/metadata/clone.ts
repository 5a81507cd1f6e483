/** Creates a clone: a thin blob with nothing allocated, with a read-only blob as its parent. */

import { INTERNAL_XATTR, idToBytes } from '../blob/blob.js';
import { type DerivedXattrs, deriveXattrs, NO_XATTRS } from '../blob/xattr-list.js';
import type { StoreState } from '../state/store-state.js';
import type { Steps } from '../steps/steps.js';
import { BlobstoreError } from '../units/error.js';
import type { BlobId } from '../units/units.js';
import { withBlobLocked } from './blob-lock.js';
import { createBlob } from './create.js';
import { dropReference, openBlob } from './open-close.js';
import { settle } from './settle.js';

/**
 * Creates a clone of a read-only blob.
 * @throws EINVAL the blob can be written, EBUSY another operation is running on it, and what creating a blob throws;
 * nothing is left behind then
 */
export function* createClone(store: StoreState, id: BlobId, asked: DerivedXattrs = NO_XATTRS): Steps<BlobId> {
  const original = yield* openBlob(store, id);
  try {
    if (!original.dataRo || !original.mdRo) {
      throw new BlobstoreError('EINVAL', `blob ${id} can be written: make a snapshot of it, and clone that`);
    }
    return yield* withBlobLocked(store, original, 'clone', function* () {
      yield* settle(store, original);
      const { clusterCount, usesExtentTable: useExtentTable } = original;
      const xattrs = deriveXattrs(original.xattrs, asked);
      const parent = { name: INTERNAL_XATTR.SNAPSHOT, value: idToBytes(original.id) };
      const clone = yield* createBlob(store, { clusterCount, thin: true, useExtentTable, xattrs }, [parent]);
      store.snapshots.add(original.id, clone);
      return clone;
    });
  } finally {
    yield* dropReference(store, original);
  }
}
