/** Creates a store on a device. */

import type { BlockDevice, DeviceChannel } from '../device/block-device.js';
import type { Marks } from '../format/marks-page.js';
import { maskPages } from '../format/mask.js';
import { SuperBlock } from '../format/super-block.js';
import { BitArray } from '../shared/bit-array.js';
import { SharedStore } from '../shared/shared-store.js';
import { marksAbove, marksOnDisk, NO_HIGH_WATER } from '../state/high-water.js';
import { InsertionLog } from '../state/insertion-log.js';
import { StoreState } from '../state/store-state.js';
import { Batch } from '../steps/batch.js';
import { type Steps, wait } from '../steps/steps.js';
import { BlobstoreError } from '../units/error.js';
import { Geometry } from '../units/geometry.js';
import { INVALID_BLOB_ID, PAGE_BYTES } from '../units/units.js';
import {
  CHANNEL_OPS_DEFAULT,
  CLUSTER_BYTES_DEFAULT,
  checkInitOptions,
  type InitOptions,
  keepsHighWater,
  requireBlockLength,
} from './options.js';
import { clusterCountMax, growLimitBytes } from './super-geometry.js';

/**
 * Clears the device and writes a new, empty store on it. The former content is lost.
 * @throws EINVAL invalid options or block length, ENOSPC the device is smaller than a cluster, ENOMEM the metadata
 * region needs more clusters than the device has
 */
export function* initStore(device: BlockDevice, options: InitOptions): Steps<StoreState> {
  requireBlockLength(device.blockLengthBytes);
  const deviceBytes = device.blockCount * device.blockLengthBytes;
  checkInitOptions(options, deviceBytes);
  const clusterBytes = options.clusterBytes ?? CLUSTER_BYTES_DEFAULT;
  const clusterCount = Math.floor(deviceBytes / clusterBytes);
  const block = layOut(device, options, clusterBytes, clusterCount);
  const geometry = new Geometry({
    blockLengthBytes: device.blockLengthBytes,
    ioUnitBytes: device.blockLengthBytes,
    clusterBytes,
    mdStartPage: block.metadata.start,
    mdPageCount: block.metadata.count,
  });
  const mdClusters = geometry.metadataClusterCount();
  if (mdClusters > clusterCount) {
    const sizes = `it would take ${mdClusters} clusters, the device has ${clusterCount}`;
    throw new BlobstoreError(
      'ENOMEM',
      `the metadata does not fit: ${sizes}; ask for fewer metadata pages or larger clusters`,
    );
  }
  const deviceChannel = device.openChannel();
  const marks = keepsHighWater(options)
    ? marksAbove(mdClusters, 0, { clusterCount, mdPageCount: geometry.mdPageCount }, 'step')
    : undefined;
  try {
    yield* clearDevice(deviceChannel, device, geometry, options);
    if (marks) {
      const { lba, bytes } = marksOnDisk(marks, geometry, block, clusterCount);
      yield* wait(deviceChannel.write(bytes, 0, lba, geometry.blocksPerPage));
    }
    block.seal();
    yield* wait(deviceChannel.write(block.bytes, 0, 0, geometry.blocksPerPage));
    if (options.durability !== 'process-crash') yield* wait(deviceChannel.flush());
  } catch (error) {
    deviceChannel.close();
    throw error;
  }
  return makeState(device, deviceChannel, geometry, block, options, clusterCount, marks);
}

/** Decides the layout of the store, and describes it in a new super block. */
function layOut(device: BlockDevice, options: InitOptions, clusterBytes: number, clusterCount: number): SuperBlock {
  const growCount = Math.max(clusterCount, Math.floor((options.growToBytes ?? 0) / clusterBytes));
  const mdPageCount = options.mdPageCount ?? mdPagesFor(clusterCount, growCount, clusterBytes);
  const block = SuperBlock.fresh();
  const mdMaskPages = maskPages(mdPageCount);
  const clusterMaskPages = maskPages(clusterCount);
  block.pageMask = { start: 1, count: mdMaskPages };
  block.clusterMask = { start: 1 + mdMaskPages, count: clusterMaskPages };
  // The store can grow: the mask's region has room for as many clusters as there are metadata pages, or as are wanted.
  const clusterMaskEnd = block.clusterMask.start + Math.max(mdMaskPages, maskPages(growCount));
  block.blobIdMask = { start: clusterMaskEnd, count: mdMaskPages };
  block.metadata = { start: clusterMaskEnd + mdMaskPages, count: mdPageCount };
  block.clean = 0;
  block.clusterBytes = clusterBytes;
  block.ioUnitBytes = device.blockLengthBytes;
  block.sizeBytes = device.blockCount * device.blockLengthBytes;
  if (options.bstype) block.bstype = options.bstype;
  if (options.recordMdPageSize ?? true) block.mdPageBytes = PAGE_BYTES;
  return block;
}

/**
 * One metadata page for each cluster that the store is to grow to. But not more than fit into a quarter of the clusters
 * that it has now, unless it has more clusters.
 */
function mdPagesFor(clusterCount: number, growCount: number, clusterBytes: number): number {
  const quarter = Math.floor((clusterCount * clusterBytes) / PAGE_BYTES / 4);
  return Math.max(clusterCount, Math.min(growCount, quarter));
}

function* clearDevice(
  channel: DeviceChannel,
  device: BlockDevice,
  geometry: Geometry,
  options: InitOptions,
): Steps<void> {
  const mdBlocks = geometry.pageToLba(geometry.mdStartPage + geometry.mdPageCount);
  const dataBlocks = device.blockCount - mdBlocks;
  const batch = new Batch();
  batch.add(() => channel.writeZeroes(0, mdBlocks));
  if (dataBlocks > 0) {
    if (options.clearMethod === 'write_zeroes') batch.add(() => channel.writeZeroes(mdBlocks, dataBlocks));
    else if (options.clearMethod !== 'none') batch.add(() => channel.unmap(mdBlocks, dataBlocks));
  }
  yield* batch.close();
  if (options.durability !== 'process-crash') yield* wait(channel.flush());
}

function makeState(
  device: BlockDevice,
  deviceChannel: DeviceChannel,
  geometry: Geometry,
  block: SuperBlock,
  options: InitOptions,
  clusterCount: number,
  marks: Marks | undefined,
): StoreState {
  const mdPageCount = geometry.mdPageCount;
  const sizes = { clusterCount, clusterCountMax: clusterCountMax(block), mdPageCount };
  const shared = SharedStore.create(sizes, options.threadId ?? 0);
  const used = BitArray.private(clusterCount);
  for (let cluster = 0; cluster < geometry.metadataClusterCount(); cluster++) used.set(cluster);
  shared.locked(() => shared.clusters.load(used));
  shared.highWater = marks?.clusters ?? NO_HIGH_WATER;
  return new StoreState({
    device,
    deviceChannel,
    shared,
    geometry,
    usedBlobIds: BitArray.private(mdPageCount),
    bstype: block.bstype,
    superBlobId: INVALID_BLOB_ID,
    clean: false,
    clusterMask: block.clusterMask,
    insertionLog: InsertionLog.of(device, deviceChannel, geometry, block),
    durability: options.durability ?? 'power-loss',
    keepsHighWater: keepsHighWater(options),
    mdPageMark: marks?.mdPages ?? NO_HIGH_WATER,
    growLimitBytes: growLimitBytes(block),
    channelOpsMax: options.channelOpsMax ?? CHANNEL_OPS_DEFAULT,
    openExternal: options.openExternalSnapshot,
    externalContext: options.externalContext,
  });
}
