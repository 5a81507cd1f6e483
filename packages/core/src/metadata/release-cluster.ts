/**
 * Releases a cluster that was unmapped as a whole from a thin blob with nothing behind it. The blob is frozen
 * meanwhile: an operation that has read the old map entry must not write to the cluster once it belongs to another
 * blob.
 */

import type { Blob } from '../blob/blob.js';
import type { ClusterMap, UncertainCluster } from '../blob/cluster-map.js';
import type { StoreState } from '../state/store-state.js';
import { type Steps, wait } from '../steps/steps.js';
import { extentPageIndex } from '../units/extent-pages.js';
import { type BlobCluster, type DeviceCluster, UNALLOCATED } from '../units/units.js';
import { releaseClusters } from './clearing.js';
import { freezeForRelease, isFrozen, unfreeze } from './freeze.js';
import { writeMapping } from './insert-cluster.js';
import { settle } from './settle.js';

/**
 * Unmaps cluster `index` of an open blob, and releases it if there is no parent whose data could show there. If the
 * metadata without the cluster cannot be written, the cluster is put back into the map, and reads as zeroes. If that
 * cannot be written either, the cluster stays reserved until a sync.
 * @returns `frozen` or `locked`, with nothing done, when another operation has the blob: it may be moving the map, or
 * rely on its clusters. Such operations in turn wait until no release is running.
 */
export function* releaseCluster(
  store: StoreState,
  blob: Blob,
  index: BlobCluster,
): Steps<'done' | 'frozen' | 'locked'> {
  if (blob.locked) return 'locked';
  if (isFrozen(store, blob)) return 'frozen';
  blob.releasing++;
  try {
    yield* freezeForRelease(store, blob);
    try {
      yield* unmapAndDrop(store, blob, index);
    } finally {
      unfreeze(store, blob);
    }
  } finally {
    blob.releasing--;
    store.pokeDrain();
  }
  return 'done';
}

function* unmapAndDrop(store: StoreState, blob: Blob, index: BlobCluster): Steps<void> {
  if (index >= blob.clusterCount) return; // cut off in the meantime
  const cluster = blob.clusterAt(index);
  if (cluster === UNALLOCATED) return; // another unmap came first
  const { geometry, deviceChannel } = store;
  yield* settle(store, blob);
  yield* wait(deviceChannel.unmap(geometry.clusterToLba(cluster), geometry.blocksPerCluster));
  // A root in doubt may say on disk that the blob is thick; a thick blob must not have holes.
  if (blob.isThin && blob.back?.kind === 'zeroes' && !blob.rootInDoubt) yield* dropCluster(store, blob, index, cluster);
}

function* dropCluster(store: StoreState, blob: Blob, index: BlobCluster, cluster: DeviceCluster): Steps<void> {
  const { map } = blob;
  const extentPage = blob.usesExtentTable ? extentPageIndex(index) : undefined;
  takeOut(map, index);
  if (!store.writesThrough) {
    blob.markMapChanged(extentPage);
    map.dropped.push(cluster); // it is released when no map on the medium names it
    return;
  }
  try {
    yield* writeMapping(store, blob, extentPage);
  } catch (error) {
    yield* putBack(store, blob, index, { cluster, extentPage });
    throw error;
  }
  releaseClusters(store, [cluster]);
}

function takeOut(map: ClusterMap, index: BlobCluster): void {
  map.clusters.set(index, UNALLOCATED);
  map.allocatedCount--;
}

/**
 * Puts the cluster back into the map if that can be written to disk. If not, the map stays without it, and the blob
 * reads zeroes there: with it, a write to the cluster could be acknowledged, and be lost when the process is killed.
 */
function* putBack(store: StoreState, blob: Blob, index: BlobCluster, dropped: UncertainCluster): Steps<void> {
  const { map } = blob;
  map.clusters.set(index, dropped.cluster);
  map.allocatedCount++;
  try {
    yield* writeMapping(store, blob, dropped.extentPage);
  } catch {
    takeOut(map, index);
    map.uncertain.push(dropped);
    blob.markMapChanged(dropped.extentPage);
  }
}
