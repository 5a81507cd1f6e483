/** Records insertions in the insertion log; see `state/insertion-log.ts`. */

import type { Blob } from '../blob/blob.js';
import type { ClaimedCluster } from '../shared/claim-cluster.js';
import type { InsertionLog, LogPage } from '../state/insertion-log.js';
import type { StoreState } from '../state/store-state.js';
import type { Steps } from '../steps/steps.js';
import { BlobstoreError } from '../units/error.js';
import type { BlobCluster, MdPage } from '../units/units.js';
import { isInUse } from './open-close.js';
import { persist } from './persist.js';

/** A cluster that a channel has claimed, and its index in the blob. */
export interface WantedInsertion {
  readonly index: BlobCluster;
  readonly claimed: ClaimedCluster;
}

/**
 * Records insertions into one blob on disk, so that they outlive this process. Returns false when the log cannot take
 * them: it is full and cannot be emptied, or the blob's root on disk may count fewer clusters. Then the caller must
 * sync the blob.
 * @param extentPage - the metadata page of the extent page that maps them; 0 without an extent table
 */
export function* noteInsertions(
  store: StoreState,
  log: InsertionLog,
  blob: Blob,
  insertions: readonly WantedInsertion[],
  extentPage: MdPage,
): Steps<boolean> {
  const countedOnDisk = blob.rootInDoubt ? (blob.countedMeanwhile ?? 0) : blob.syncedClusterCount;
  if (insertions.some(({ index }) => index >= countedOnDisk)) return false;
  let unwritten: LogPage | undefined;
  for (const { index, claimed } of insertions) {
    let page = log.add(blob.page, index, claimed.cluster, extentPage);
    if (page === undefined) {
      yield* makeRoom(store, log);
      page = log.add(blob.page, index, claimed.cluster, extentPage);
    }
    if (page === undefined) return false;
    if (unwritten !== undefined && unwritten !== page) yield* log.write(unwritten);
    unwritten = page;
  }
  if (unwritten !== undefined) yield* log.write(unwritten);
  return true;
}

/**
 * Syncs all blobs that have records in the log. A blob that cannot be written keeps its records; its own next sync
 * reports the error.
 */
function* makeRoom(store: StoreState, log: InsertionLog): Steps<void> {
  for (const page of log.blobPages) {
    const blob = store.openBlobs.get(page);
    if (blob === undefined || !isInUse(store, blob)) continue;
    try {
      yield* persist(store, blob);
    } catch (error) {
      if (!(error instanceof BlobstoreError)) throw error;
    }
  }
}

/**
 * Persists a blob that was opened with records of the log. If the metadata region has no room for it, the blob stays as
 * it is in memory, and its records stay in the log.
 */
export function* persistTakenOver(store: StoreState, blob: Blob): Steps<void> {
  try {
    yield* persist(store, blob);
  } catch (error) {
    if (!(error instanceof BlobstoreError) || error.code !== 'ENOSPC') throw error;
  }
}

/** Removes the records of blobs that do not exist. */
export function forgetUnknown(store: StoreState, log: InsertionLog): void {
  const isKnown = (page: MdPage) => store.openBlobs.has(page) || store.setAside.has(page);
  for (const page of log.blobPages) if (!isKnown(page)) log.retire(log.recordsOf(page));
}
