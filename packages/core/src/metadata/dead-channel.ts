/**
 * Cleans up after a thread that ended without closing its channel: the used lock, if the thread ended inside a critical
 * section; the clusters and pages that it had claimed; its operations that count as inside blobs. The thread must be
 * known to have ended: a transfer that it still had in flight could write to a cluster that belongs to another blob by
 * now.
 */

import { ClaimLog } from '../shared/claim-log.js';
import type { SharedStore } from '../shared/shared-store.js';
import { threadOfRow } from '../shared/used-lock.js';
import type { StoreState } from '../state/store-state.js';
import type { Steps } from '../steps/steps.js';
import type { DeviceCluster } from '../units/units.js';
import { clearClusters, releaseClusters } from './clearing.js';

/**
 * Releases the used lock if a dead thread holds it, and makes what the lock protects consistent again. Each step of a
 * critical section leaves correct bits; only the count and the hints may be out of date. The claim log tells what the
 * dead thread had claimed. It can also name a cluster or page that is free, if the thread died after it noted the entry
 * and before it took it, or after it released it and before it removed the entry. Such entries are removed before the
 * lock is released: from then on other threads can allocate what they name. Metadata thread only.
 */
export function freeUsedLock(shared: SharedStore, row: number): void {
  if (!shared.usedLock.takeFromDead(threadOfRow(row))) return;
  forgetUntaken(shared, new ClaimLog(shared.buffers.claims, row));
  shared.clusters.rebuild();
  shared.pages.rebuild();
  shared.usedLock.release();
}

/** Removes from a dead thread's log the entries that it had not taken. */
function forgetUntaken(shared: SharedStore, log: ClaimLog): void {
  for (const { entry, cluster, extentPage } of log.claims()) {
    if (!shared.clusters.isAllocated(cluster)) log.forget(entry);
    else if (!shared.pages.isUsed(extentPage)) log.forgetPage(entry);
  }
}

/**
 * Counts a dead thread out of all blobs, so that operations which wait for it to leave a blob go on. No insertion that
 * the thread asked for may be in flight: code that freezes a blob relies on that.
 */
export function leaveForDead(store: StoreState, row: number): void {
  store.shared.channels.leaveAll(row);
  store.pokeDrain();
}

/** Releases what a dead thread had claimed. Nothing that it asked of the metadata thread may be in flight. */
export function* takeBackClaims(store: StoreState, row: number): Steps<void> {
  const { shared } = store;
  const log = new ClaimLog(shared.buffers.claims, row);
  const clusters = shared.locked(() => takeClaims(shared, log));
  try {
    yield* clearClusters(store, 'default', clusters); // copy-on-write may have written data there
    yield* store.barrier();
    releaseClusters(store, clusters);
  } catch {
    store.unclearedClusters.push(...clusters);
  }
}

/**
 * Returns the clusters that a dead thread had claimed, and releases its claimed pages at once: a channel never writes
 * to those.
 */
function takeClaims(shared: SharedStore, log: ClaimLog): DeviceCluster[] {
  const clusters: DeviceCluster[] = [];
  for (const { entry, cluster, extentPage } of log.claims()) {
    clusters.push(cluster);
    if (extentPage !== 0) shared.pages.release(extentPage);
    log.forget(entry);
  }
  return clusters;
}
