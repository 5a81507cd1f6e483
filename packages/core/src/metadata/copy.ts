/**
 * Copies a read-only blob to another device: what it reads as, or only the clusters that it has itself (a shallow copy,
 * without those of its parent).
 */

import type { Blob } from '../blob/blob.js';
import type { BlockDevice } from '../device/block-device.js';
import { BitArray } from '../shared/bit-array.js';
import type { DataPath } from '../state/data-path.js';
import type { StoreState } from '../state/store-state.js';
import { type Steps, wait } from '../steps/steps.js';
import { throwIfAborted, type Watched } from '../steps/watched.js';
import { BlobstoreError } from '../units/error.js';
import type { BlobCluster, BlobId } from '../units/units.js';
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

/** The most bytes, and clusters, of one read and write of a copy; at least one cluster. Each cluster may be a request. */
const COPY_BYTES_MAX = 1024 * 1024;
const COPY_CLUSTERS_MAX = 8;
/** The most bytes that one request makes zeroes: in memory, or in a file without hole punching, that takes a few ms. */
const ZEROES_BYTES_MAX = 4 * 1024 * 1024;

/**
 * Makes `target` read as a blob does, up to the blob's end; the rest of `target` stays as it is. Clusters that read as
 * zeroes, as far as metadata shows it, are not copied; `target` is made zeroes there.
 * @param channel - reads the blob
 * @param isZeroed - true: `target` reads as zeroes already, so that holes need no request
 * @returns the number of clusters that were copied
 * @throws as `shallowCopyBlob`, and what reading the blob throws
 */
export function* copyBlob(
  store: StoreState,
  channel: DataPath,
  id: BlobId,
  target: BlockDevice,
  isZeroed: boolean,
  watched?: Watched,
): Steps<number> {
  const blob = yield* openBlob(store, id);
  try {
    requireFit(store, blob, target);
    return yield* withBlobLocked(store, blob, 'copy', () =>
      copyContent(store, channel, blob, target, isZeroed, watched),
    );
  } finally {
    yield* dropReference(store, blob);
  }
}

function* copyContent(
  store: StoreState,
  channel: DataPath,
  blob: Blob,
  target: BlockDevice,
  isZeroed: boolean,
  watched: Watched | undefined,
): Steps<number> {
  const { clusterBytes } = store.geometry;
  const targetBlocks = clusterBytes / target.blockLengthBytes;
  const copyMax = Math.max(1, Math.min(COPY_CLUSTERS_MAX, Math.floor(COPY_BYTES_MAX / clusterBytes)));
  const zeroesMax = Math.max(1, Math.floor(ZEROES_BYTES_MAX / clusterBytes));
  const shown = clustersWithData(store, blob);
  const total = shown.countSet();
  const buffer = new Uint8Array(Math.min(copyMax, Math.max(1, blob.clusterCount)) * clusterBytes);
  const targetChannel = target.openChannel();
  let copied = 0;
  try {
    for (let at = 0; at < blob.clusterCount; ) {
      const isData = shown.get(at);
      const runEnd = isData ? shown.findFirstClear(at) : shown.findFirstSet(at);
      const end = Math.min(runEnd, blob.clusterCount, at + (isData ? copyMax : zeroesMax));
      throwIfAborted(watched);
      if (isData) {
        yield* channel.readClusters(blob, buffer, at as BlobCluster, end - at);
        yield* wait(targetChannel.write(buffer, 0, at * targetBlocks, (end - at) * targetBlocks));
        copied += end - at;
        watched?.onProgress?.(copied, total);
      } else if (!isZeroed) {
        yield* wait(targetChannel.writeZeroes(at * targetBlocks, (end - at) * targetBlocks));
      }
      yield undefined;
      at = end;
    }
  } finally {
    targetChannel.close();
  }
  return copied;
}

/**
 * The clusters of a blob that may read as something other than zeroes. What a blob reads as does not change while it is
 * read-only, whatever happens to the snapshots behind it.
 */
function clustersWithData({ geometry }: StoreState, blob: Blob): BitArray {
  const shown = BitArray.private(blob.clusterCount);
  let end = blob.clusterCount;
  let at = blob;
  for (;;) {
    end = Math.min(end, at.clusterCount); // past the end of a snapshot, the blobs in front of it read zeroes
    at.map.clusters.forEachSet((_cluster, index) => shown.set(index), 0, end);
    if (at.back?.kind !== 'blob') break;
    at = at.back.blob;
  }
  if (at.back?.kind !== 'external') return shown;
  const { device } = at.back;
  const blocks = geometry.clusterBytes / device.blockLengthBytes;
  for (let index = 0; index < end; index++) {
    const isOnDevice = (index + 1) * blocks <= device.blockCount;
    if (!isOnDevice || !device.isZeroes?.(index * blocks, blocks)) shown.set(index);
  }
  return shown;
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
