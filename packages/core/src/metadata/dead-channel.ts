/**
 * What a thread leaves behind that ends without closing its channel: the used lock, if it ended inside a critical section;
 * clusters and pages that it had claimed; operations counted as inside blobs. The thread must be known to be gone: a transfer
 * that it still had under way could hit a cluster that has been given to another blob meanwhile.
 */

import { ClaimLog } from '../shared/claim-log.js';
import type { SharedStore } from '../shared/shared-store.js';
import { threadOfRow } from '../shared/used-lock.js';
import type { StoreState } from '../state/store-state.js';
import type { Steps } from '../steps/steps.js';
import type { DeviceCluster } from '../units/units.js';
import { clearClusters, releaseClusters } from './clearing.js';

/**
 * Takes the used lock from a dead thread, if it has it, and makes what it guards consistent again: each step of a critical
 * section leaves bits that are right by themselves, only count and hints may be old. What the thread had claimed is told by its
 * claim log, as long as nobody else has had the lock: what it noted and did not take, or gave back and still has noted, is
 * free for others from then on. Metadata thread.
 */
export function freeUsedLock(shared: SharedStore, row: number): void {
  if (!shared.usedLock.takeFromDead(threadOfRow(row))) return;
  forgetUntaken(shared, new ClaimLog(shared.buffers.claims, row));
  shared.clusters.rebuild();
  shared.pages.rebuild();
  shared.usedLock.release();
}

/** Leaves in a dead thread's log only what it has taken. */
function forgetUntaken(shared: SharedStore, log: ClaimLog): void {
  for (const { entry, cluster, extentPage } of log.claims()) {
    if (!shared.clusters.isAllocated(cluster)) log.forget(entry);
    else if (!shared.pages.isUsed(extentPage)) log.forgetPage(entry);
  }
}

/**
 * Whoever waits for a dead thread to leave a blob goes on. No insertion that it asked for may be under way: those who freeze a
 * blob rely on that.
 */
export function leaveForDead(store: StoreState, row: number): void {
  store.shared.channels.leaveAll(row);
  store.pokeDrain();
}

/** Gives back what a dead thread had claimed; nothing that it asked the metadata thread for may be under way. */
export function* takeBackClaims(store: StoreState, row: number): Steps<void> {
  const { shared } = store;
  const log = new ClaimLog(shared.buffers.claims, row);
  const clusters = shared.locked(() => takeClaims(shared, log));
  try {
    yield* clearClusters(store, 'default', clusters); // copy on write may have put something there
    yield* store.barrier();
    releaseClusters(store, clusters);
  } catch {
    store.unclearedClusters.push(...clusters);
  }
}

/** The clusters that a dead thread had claimed; its pages, which it never writes, are free at once. */
function takeClaims(shared: SharedStore, log: ClaimLog): DeviceCluster[] {
  const clusters: DeviceCluster[] = [];
  for (const { entry, cluster, extentPage } of log.claims()) {
    clusters.push(cluster);
    if (extentPage !== 0) shared.pages.release(extentPage);
    log.forget(entry);
  }
  return clusters;
}
