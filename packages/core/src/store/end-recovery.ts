/**
 * The end of recovery, when it is known what is used: the space that may hold old data is cleared, and what was found
 * is written to disk.
 *
 * Where high-water marks are kept, new marks are written and the insertion log is erased, since the blobs' metadata has
 * its records by then. The masks are not written: nobody reads them before the store is closed, and on a large device
 * they are long. Elsewhere the masks are written, as in the specification. That ends the log, and overwrites the marks.
 */

import type { SuperBlock } from '../format/super-block.js';
import { forgetUnknown } from '../metadata/note-insertions.js';
import { clearFreeBelow, type FoundMarks, marksAbove, writeMarks } from '../state/high-water.js';
import { eraseLog } from '../state/insertion-log.js';
import { type Masks, writeClusterMask, writeMasks } from '../state/masks.js';
import type { StoreState } from '../state/store-state.js';
import type { Steps } from '../steps/steps.js';
import { finishKilledDeletes, type KilledDelete } from '../survey/killed-delete.js';
import { visitBlobs } from './load-visit.js';
import type { LoadedBlob } from './options.js';

/** What recovery has found. */
export interface Found extends Pick<Masks, 'clusters'> {
  readonly marks: FoundMarks;
  readonly killedDeletes: readonly KilledDelete[];
  /** Something is damaged: what seems to be free may be a damaged blob's. */
  readonly isDoubtful: boolean;
}

/**
 * Clears what may hold old data, writes what is used, and corrects the blobs. If the insertion log has records, the
 * blobs are corrected first, so that their metadata on disk has what the log says.
 */
export function* endRecovery(
  store: StoreState,
  block: SuperBlock,
  found: Found,
  onBlob: ((blob: LoadedBlob) => void) | undefined,
): Steps<void> {
  const { insertionLog, keepsHighWater } = store;
  if (keepsHighWater && !found.isDoubtful) yield* clearLeftovers(store, found);
  const hasNoted = insertionLog !== undefined && !insertionLog.isEmpty;
  if (hasNoted) yield* setBlobsRight(store, found, onBlob);
  if (hasNoted) forgetUnknown(store, insertionLog);
  if (!hasNoted || insertionLog.isEmpty) yield* writeUsed(store, block, found);
  else if (!keepsHighWater) yield* writeClusterMask(store, block); // marks that are not kept must not stay
  if (!hasNoted) yield* setBlobsRight(store, found, onBlob);
}

/**
 * Clears free clusters that may hold data after a crash: what was written before a map on disk named them, or what a
 * deletion did not clear any more. The next owner expects zeroes. Not done when blobs are damaged, because their data
 * may be there; and not without a high-water mark: the specification has none, and does not clear.
 */
function* clearLeftovers(store: StoreState, { clusters, marks }: Found): Steps<void> {
  yield* clearFreeBelow(store, clusters, marks.clearBelow);
}

/**
 * Writes what is used. If something is damaged, the high-water mark of clusters is exactly the end of what is reserved,
 * without room for more: the next load reserves everything below the mark again.
 */
function* writeUsed(store: StoreState, block: SuperBlock, { isDoubtful }: Found): Steps<void> {
  if (!store.keepsHighWater || block.clean !== 0) {
    yield* writeMasks(store, block);
    yield* store.barrierAtOnce();
    return;
  }
  const counts = { clusterCount: store.shared.clusters.capacity, mdPageCount: store.geometry.mdPageCount };
  yield* eraseLog(store.deviceChannel, store.geometry, block);
  yield* writeMarks(store, marksAbove(store.highWaterMin, store.mdPageMarkMin, counts, isDoubtful ? 'none' : 'step'));
}

/** Finishes or undoes what a crash interrupted. */
function* setBlobsRight(
  store: StoreState,
  { killedDeletes }: Found,
  onBlob: ((blob: LoadedBlob) => void) | undefined,
): Steps<void> {
  yield* finishKilledDeletes(store, killedDeletes);
  yield* visitBlobs(store, onBlob);
}
