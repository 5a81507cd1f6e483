/** Opening a store that is on a device: super block, masks or recovery, then a look at every blob. */

import type { BlockDevice, DeviceChannel } from '../device/block-device.js';
import { BlobstoreError } from '../error.js';
import { maskBitsMax, maskPages } from '../format/mask.js';
import { BSTYPE_BYTES, SuperBlock } from '../format/super-block.js';
import { type Steps, wait } from '../metadata/steps.js';
import { SharedStore } from '../shared/shared-store.js';
import { Geometry } from '../units/geometry.js';
import { PAGE_BYTES } from '../units/units.js';
import { growSuper } from './grow.js';
import { visitBlobs } from './load-visit.js';
import { type Masks, readMasks, writeMasks } from './masks.js';
import {
  CHANNEL_OPS_DEFAULT,
  CLUSTER_BYTES_DEFAULT,
  checkStoreOptions,
  type LoadOptions,
  requireBlockLength,
  requireDeviceSize,
} from './options.js';
import { type Recovered, recover } from './recover.js';
import { StoreState } from './store-state.js';

/**
 * Opens a store; recovers it if it was not cleanly unloaded.
 * @throws EILSEQ no store, or a damaged one; ENXIO another type; ENOSPC a device smaller than a cluster; EINVAL an unusable
 * block length or options; EIO of the device.
 */
export function loadStore(device: BlockDevice, options: LoadOptions): Steps<StoreState> {
  return open(device, options, false);
}

/** Opens a cleanly unloaded store and makes it as large as its device. Also EIO when it was not cleanly unloaded. */
export function growStore(device: BlockDevice, options: LoadOptions): Steps<StoreState> {
  return open(device, options, true);
}

function* open(device: BlockDevice, options: LoadOptions, grow: boolean): Steps<StoreState> {
  requireBlockLength(device.blockLengthBytes);
  checkStoreOptions(options);
  const deviceBytes = device.blockCount * device.blockLengthBytes;
  requireDeviceSize(options.clusterBytes ?? CLUSTER_BYTES_DEFAULT, deviceBytes);
  const channel = device.openChannel();
  try {
    const block = yield* readSuperBlock(channel, device, options);
    if (grow) yield* growSuper(channel, device, block, options);
    if (block.sizeBytes === 0) block.sizeBytes = deviceBytes;
    const geometry = parseGeometry(block, device);
    if (grow) requireClean(block);
    const store = yield* assemble(channel, device, block, geometry, options);
    yield* visitBlobs(store, options.onBlob);
    return store;
  } catch (error) {
    channel.close();
    throw error;
  }
}

/** Reads and checks the super block of a device. */
export function* readSuperBlock(channel: DeviceChannel, device: BlockDevice, options: LoadOptions): Steps<SuperBlock> {
  const block = new SuperBlock();
  yield* wait(channel.read(block.bytes, 0, 0, PAGE_BYTES / device.blockLengthBytes));
  block.validate(options.bstype ?? new Uint8Array(BSTYPE_BYTES), device.blockCount * device.blockLengthBytes);
  return block;
}

function requireClean(block: SuperBlock): void {
  if (block.blobIdMask.count > 0 && block.clean === 1) return;
  throw new BlobstoreError('EIO', 'a store that was not cleanly unloaded cannot grow: open it and unload it first');
}

function* assemble(
  channel: DeviceChannel,
  device: BlockDevice,
  block: SuperBlock,
  geometry: Geometry,
  options: LoadOptions,
): Steps<StoreState> {
  const clusterCount = Math.floor(block.sizeBytes / block.clusterBytes);
  const mustRecover = block.blobIdMask.count === 0 || block.clean === 0 || options.forceRecover === true;
  let found: Masks | Recovered;
  if (mustRecover) found = yield* recover(channel, geometry, clusterCount, options.onDamage ?? 'refuse');
  else found = yield* readMasks(channel, geometry, block, clusterCount);
  const clusterCountMax = maskBitsMax(clusterMaskRoom(block));
  const sizes = { clusterCount, clusterCountMax, mdPageCount: geometry.mdPageCount };
  const shared = SharedStore.create(sizes, options.threadId ?? 0);
  shared.locked(() => {
    shared.clusters.load(found.clusters);
    shared.pages.load(found.pages);
  });
  const store = new StoreState({
    device,
    deviceChannel: channel,
    shared,
    geometry,
    usedBlobIds: found.blobIds,
    bstype: block.bstype,
    superBlobId: block.superBlobId,
    clean: true, // or not: the first change of metadata looks, and records the size of an old store
    durability: options.durability ?? 'power-loss',
    channelOpsMax: options.channelOpsMax ?? CHANNEL_OPS_DEFAULT,
    openExternal: options.openExternalSnapshot,
    externalContext: options.externalContext,
  });
  if ('damaged' in found) {
    store.damaged.push(...found.damaged);
    store.missingClusterCount = found.missingClusterCount;
    yield* writeMasks(store, block);
    yield* store.barrier();
  }
  return store;
}

/** Pages that the cluster mask may take: up to the next mask, or its own length in old stores. */
export function clusterMaskRoom(block: SuperBlock): number {
  if (block.blobIdMask.count === 0) return block.clusterMask.count;
  return Math.max(block.clusterMask.count, block.blobIdMask.start - block.clusterMask.start);
}

/** The geometry in a super block. EILSEQ when it cannot be that of a store on this device. */
export function parseGeometry(block: SuperBlock, device: BlockDevice): Geometry {
  const ioUnitBytes = block.ioUnitBytes === 0 ? PAGE_BYTES : block.ioUnitBytes;
  const { clusterBytes, metadata, mdPageBytes } = block;
  const { blockLengthBytes } = device;
  if (mdPageBytes !== 0 && mdPageBytes !== PAGE_BYTES) {
    throw unusable(`its metadata pages have ${mdPageBytes} bytes, this engine works with ${PAGE_BYTES}`);
  }
  if (clusterBytes < PAGE_BYTES || clusterBytes % PAGE_BYTES !== 0) throw unusable(`its clusters have ${clusterBytes} bytes`);
  if (PAGE_BYTES % ioUnitBytes !== 0 || ioUnitBytes % blockLengthBytes !== 0) {
    throw unusable(`its io units have ${ioUnitBytes} bytes, the device's blocks ${blockLengthBytes}`);
  }
  const clusterCount = Math.floor(block.sizeBytes / clusterBytes);
  const pagesInStore = Math.floor(block.sizeBytes / PAGE_BYTES);
  if (metadata.count === 0 || metadata.start + metadata.count > pagesInStore) {
    throw unusable(`its metadata region, ${metadata.count} pages from ${metadata.start}, is outside of it`);
  }
  const geometry = new Geometry({
    blockLengthBytes,
    ioUnitBytes,
    clusterBytes,
    mdStartPage: metadata.start,
    mdPageCount: metadata.count,
  });
  requireMasks(block, clusterCount, pagesInStore);
  if (geometry.metadataClusterCount() > clusterCount) throw unusable('its metadata region is larger than the store');
  return geometry;
}

/** Masks must lie before the metadata region, and have room for their bits. */
function requireMasks(block: SuperBlock, clusterCount: number, pagesInStore: number): void {
  const { count: mdPageCount } = block.metadata;
  const needs = [
    ['used pages', block.pageMask, mdPageCount],
    ['used clusters', block.clusterMask, clusterCount],
    ['used blob ids', block.blobIdMask, block.blobIdMask.count === 0 ? 0 : mdPageCount],
  ] as const;
  for (const [name, range, bits] of needs) {
    if (bits === 0) continue;
    if (range.start === 0 || range.start + range.count > pagesInStore || range.count < maskPages(bits)) {
      throw unusable(`its mask of ${name} has ${range.count} pages from ${range.start} for ${bits} bits`);
    }
  }
}

function unusable(how: string): BlobstoreError {
  return new BlobstoreError('EILSEQ', `the super block describes no usable store: ${how}`);
}
