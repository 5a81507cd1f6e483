/** Copies the clusters that a read-only blob has itself, without those of its parent, to another device. */

import type { Blob } from '../blob/blob.js';
import type { BlockDevice } from '../device/block-device.js';
import type { StoreState } from '../state/store-state.js';
import { type Steps, wait } from '../steps/steps.js';
import { throwIfAborted, type Watched } from '../steps/watched.js';
import { BlobstoreError } from '../units/error.js';
import type { BlobId } from '../units/units.js';
import { withBlobLocked } from './blob-lock.js';
import { dropReference, openBlob } from './open-close.js';

/**
 * Copies each allocated cluster of a blob to the same offset on `target`; the rest of `target` stays as it is.
 * @returns the number of clusters that were copied
 * @throws EPERM the blob can be written, EINVAL the target is smaller than the blob or its blocks do not fit, EBUSY
 * another operation is running on the blob, ECANCELED aborted
 */
export function* shallowCopyBlob(store: StoreState, id: BlobId, target: BlockDevice, watched?: Watched): Steps<number> {
  const blob = yield* openBlob(store, id);
  try {
    requireFit(store, blob, target);
    return yield* withBlobLocked(store, blob, 'copy', () => copyClusters(store, blob, target, watched));
  } finally {
    yield* dropReference(store, blob);
  }
}

function requireFit(store: StoreState, blob: Blob, target: BlockDevice): void {
  if (!blob.isReadOnly) throw new BlobstoreError('EPERM', `blob ${blob.id} can be written: copy a snapshot of it`);
  const bytes = blob.clusterCount * store.geometry.clusterBytes;
  const targetBytes = target.blockCount * target.blockLengthBytes;
  if (bytes > targetBytes) {
    throw new BlobstoreError('EINVAL', `blob ${blob.id} has ${bytes} bytes, the device to copy it to ${targetBytes}`);
  }
  const { blockLengthBytes } = store.geometry;
  if (blockLengthBytes % target.blockLengthBytes !== 0) {
    const sizes = `blocks of ${target.blockLengthBytes} bytes do not divide the store's of ${blockLengthBytes}`;
    throw new BlobstoreError('EINVAL', `the device to copy to does not fit: ${sizes}`);
  }
}

function* copyClusters(
  store: StoreState,
  blob: Blob,
  target: BlockDevice,
  watched: Watched | undefined,
): Steps<number> {
  const { geometry, deviceChannel } = store;
  const targetBlocks = geometry.clusterBytes / target.blockLengthBytes;
  const buffer = new Uint8Array(geometry.clusterBytes);
  const channel = target.openChannel();
  const allocated: number[] = [];
  blob.map.clusters.forEachSet((_cluster, index) => allocated.push(index), 0, blob.clusterCount);
  let copied = 0;
  try {
    for (const index of allocated) {
      const cluster = blob.clusterAt(index);
      throwIfAborted(watched);
      yield* wait(deviceChannel.read(buffer, 0, geometry.clusterToLba(cluster), geometry.blocksPerCluster));
      yield* wait(channel.write(buffer, 0, index * targetBlocks, targetBlocks));
      copied++;
      watched?.onProgress?.(copied, blob.map.allocatedCount);
      yield undefined;
    }
  } finally {
    channel.close();
  }
  return copied;
}
