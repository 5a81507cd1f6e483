/** Opening a store that is on a device: super block, masks or recovery, then a look at every blob. */

import type { BlockDevice, DeviceChannel } from '../device/block-device.js';
import { BlobstoreError } from '../error.js';
import { maskBitsMax } from '../format/mask.js';
import { BSTYPE_BYTES, SuperBlock } from '../format/super-block.js';
import { type Steps, wait } from '../metadata/steps.js';
import { SharedStore } from '../shared/shared-store.js';
import type { Geometry } from '../units/geometry.js';
import { PAGE_BYTES } from '../units/units.js';
import { growSuper } from './grow.js';
import { clearFreeBelow, highWaterOf, NO_HIGH_WATER } from './high-water.js';
import { visitBlobs } from './load-visit.js';
import { type Masks, readMasks, readRange, writeMasks } from './masks.js';
import {
  CHANNEL_OPS_DEFAULT,
  CLUSTER_BYTES_DEFAULT,
  checkStoreOptions,
  keepsHighWater,
  type LoadOptions,
  requireBlockLength,
  requireDeviceSize,
} from './options.js';
import { type Recovered, recover } from './recover.js';
import { StoreState } from './store-state.js';
import { clusterMaskRoom, parseGeometry } from './super-geometry.js';
import { abandonStore } from './unload.js';

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
  let store: StoreState | undefined;
  try {
    const block = yield* readSuperBlock(channel, device, options);
    if (grow) yield* growSuper(channel, device, block, options);
    if (block.sizeBytes === 0) block.sizeBytes = deviceBytes;
    const geometry = parseGeometry(block, device);
    if (grow) requireClean(block);
    store = yield* assemble(channel, device, block, geometry, options);
    yield* visitBlobs(store, options.onBlob);
    store.sharedByBlobs = undefined;
    return store;
  } catch (error) {
    if (store) yield* abandonStore(store);
    else channel.close();
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
    clusterMask: block.clusterMask,
    clean: true, // or not: the first change of metadata looks, and records the size of an old store
    durability: options.durability ?? 'power-loss',
    keepsHighWater: keepsHighWater(options),
    channelOpsMax: options.channelOpsMax ?? CHANNEL_OPS_DEFAULT,
    openExternal: options.openExternalSnapshot,
    externalContext: options.externalContext,
  });
  if ('damaged' in found) {
    store.damaged.push(...found.damaged);
    store.missingClusterCount = found.missingClusterCount;
    store.sharedByBlobs = found.shared;
    if (store.keepsHighWater && store.damaged.length === 0) yield* clearLeftovers(store, block, found);
    yield* writeMasks(store, block);
    yield* store.barrier();
  }
  store.highWaterMin = found.clusters.lengthUsed();
  // A store that is clean on disk is not recovered: the first cluster that is given data, wherever it lies, has to say so first.
  const certain = mustRecover ? store.highWaterMin : 0;
  shared.highWater = store.keepsHighWater ? certain : NO_HIGH_WATER;
  return store;
}

/**
 * Clears what a crash left in clusters that recovery found free: what was written before a map on disk named them, or what a
 * deletion did not come to clear. Whoever gets them next expects zeroes. Not where blobs are damaged: what they had may lie
 * there. Not without a high-water mark: the specification has none, and does not clear.
 */
function* clearLeftovers(store: StoreState, block: SuperBlock, found: Masks): Steps<void> {
  const mask = yield* readRange(store.deviceChannel, store.geometry, block.clusterMask);
  yield* clearFreeBelow(store, found.clusters, highWaterOf(mask, block.clusterMask, found.clusters.capacity));
}
