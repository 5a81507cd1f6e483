/**
 * Releasing a cluster that was unmapped as a whole, out of a thin blob with nothing behind it. The blob is frozen meanwhile:
 * an operation that has already read the old map entry must not write to the cluster once it is another blob's.
 */

import type { Blob } from '../blob/blob.js';
import type { StoreState } from '../store/store-state.js';
import { type BlobCluster, type DeviceCluster, UNALLOCATED } from '../units/units.js';
import { releaseClusters } from './clearing.js';
import { extentPageIndex } from './extent-pages.js';
import { freezeForRelease, isFrozen, unfreeze } from './freeze.js';
import { writeMapping } from './insert-cluster.js';
import { sync } from './persist.js';
import { type Steps, wait } from './steps.js';

/**
 * Unmaps cluster `index` of an open blob, and releases it where nothing behind it could show through. When its metadata cannot
 * be written, the cluster stays allocated and reads zeroes.
 * @returns `frozen` or `locked`, with nothing done, when another operation has the blob: it may be moving the map, or count on
 * its clusters. Such operations in turn wait until no release is under way.
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
  if (index >= blob.clusterCount) return; // cut off meanwhile
  const cluster = blob.clusterAt(index);
  if (cluster === UNALLOCATED) return; // another unmap was faster
  const { geometry, deviceChannel } = store;
  yield* wait(deviceChannel.unmap(geometry.clusterToLba(cluster), geometry.blocksPerCluster));
  if (blob.isThin && blob.back?.kind === 'zeroes') yield* dropCluster(store, blob, index, cluster);
}

function* dropCluster(store: StoreState, blob: Blob, index: BlobCluster, cluster: DeviceCluster): Steps<void> {
  const { map } = blob;
  map.clusters.set(index, UNALLOCATED);
  map.allocatedCount--;
  const extentPage = extentPageIndex(index);
  if (blob.usesExtentTable) map.dirtyExtentPages.add(extentPage);
  else blob.state = 'dirty';
  if (!store.writesThrough) {
    blob.state = 'dirty';
    map.dropped.push(cluster); // released once no map on the medium names it
    return;
  }
  try {
    if (blob.usesExtentTable) yield* writeMapping(store, blob, extentPage);
    else yield* sync(store, blob);
  } catch (error) {
    map.clusters.set(index, cluster);
    map.allocatedCount++;
    throw error;
  }
  releaseClusters(store, [cluster]);
}
