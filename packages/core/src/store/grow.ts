/**
 * Extends a store to the size of its device. On disk, for an unloaded store: the longer cluster mask first, then the
 * super block. If a mask is longer than the super block says, the rest is ignored when it is read. For an open store:
 * only the super block, marked as not clean, since unloading writes the masks.
 */

import type { BlockDevice, DeviceChannel } from '../device/block-device.js';
import { maskPages, setMaskLength } from '../format/mask.js';
import { SuperBlock } from '../format/super-block.js';
import { beginMarks } from '../state/high-water.js';
import type { StoreState } from '../state/store-state.js';
import { readSuper, writeSuper } from '../state/super-block-io.js';
import { type Steps, wait } from '../steps/steps.js';
import { BlobstoreError } from '../units/error.js';
import { PAGE_BYTES } from '../units/units.js';
import type { LoadOptions } from './options.js';
import { clusterCountMax, clusterMaskRoom, growLimitBytes, parseGeometry } from './super-geometry.js';

/**
 * Extends an unloaded store to the size of its device, if its cluster mask has room for that. EILSEQ when the super
 * block is not that of a usable store, of this size or of the new one.
 */
export function* growSuper(
  channel: DeviceChannel,
  device: BlockDevice,
  block: SuperBlock,
  options: LoadOptions,
): Steps<void> {
  const deviceBytes = device.blockCount * device.blockLengthBytes;
  const clusterCount = Math.floor(deviceBytes / block.clusterBytes);
  const mask = { start: block.clusterMask.start, count: maskPages(clusterCount) };
  if (block.sizeBytes >= deviceBytes || mask.count > clusterMaskRoom(block)) return;
  const larger = new SuperBlock(block.bytes.slice());
  if (larger.sizeBytes === 0) larger.sizeBytes = deviceBytes;
  parseGeometry(larger, device); // nothing is written unless the super block is valid for its own size, too
  larger.sizeBytes = deviceBytes;
  larger.clusterMask = mask;
  parseGeometry(larger, device);
  const blocksPerPage = PAGE_BYTES / device.blockLengthBytes;
  const bytes = new Uint8Array(mask.count * PAGE_BYTES);
  const barrier = () => (options.durability === 'process-crash' ? undefined : channel.flush());
  yield* wait(channel.read(bytes, 0, mask.start * blocksPerPage, mask.count * blocksPerPage));
  setMaskLength(bytes, clusterCount);
  yield* wait(channel.write(bytes, 0, mask.start * blocksPerPage, mask.count * blocksPerPage));
  yield* wait(barrier());
  block.bytes.set(larger.bytes);
  block.seal();
  yield* wait(channel.write(block.bytes, 0, 0, blocksPerPage));
  yield* wait(barrier());
}

/**
 * Extends an open store to the current size of its device.
 * @throws EILSEQ the device is smaller than the store, ENOSPC the cluster mask has no room; then nothing has changed
 */
export function* growLive(store: StoreState): Steps<void> {
  const { shared } = store;
  let clusterCount = shared.clusters.capacity;
  let isLarger = false;
  yield* store.superUpdates.alone(function* () {
    if (store.device.refresh) yield* wait(store.device.refresh());
    const { deviceBytes } = store;
    const block = yield* readSuper(store);
    clusterCount = Math.floor(deviceBytes / block.clusterBytes);
    // Comparing with the super block is not enough: a failed write of it may have reached the disk.
    isLarger = deviceBytes !== block.sizeBytes || clusterCount !== shared.clusters.capacity;
    if (!isLarger) return;
    requireRoom(store, block, clusterCount);
    // A file must not be shorter after a power cut than its super block says.
    yield* store.barrierAtOnce();
    block.clean = 0;
    block.sizeBytes = deviceBytes;
    block.clusterMask = { start: block.clusterMask.start, count: maskPages(clusterCount) };
    yield* writeSuper(store, block);
  });
  if (!isLarger) return;
  store.clean = false;
  yield* beginMarks(store);
  shared.locked(() => shared.clusters.grow(clusterCount));
  store.onFreeChange?.();
}

function requireRoom({ deviceBytes, shared }: StoreState, block: SuperBlock, clusterCount: number): void {
  if (deviceBytes < block.sizeBytes || clusterCount < shared.clusters.capacity) {
    throw new BlobstoreError('ENOSPC', `the store cannot grow to ${deviceBytes} bytes: the device is smaller`);
  }
  if (clusterCount > clusterCountMax(block)) throw noRoomToGrow(deviceBytes, growLimitBytes(block));
}

/** The error of growing to a size for which no metadata was reserved: ENOSPC. Both sizes are in bytes. */
export function noRoomToGrow(sizeBytes: number, limitBytes: number): BlobstoreError {
  const found = `the store cannot grow to ${sizeBytes} bytes: when it was made, metadata was reserved for ${limitBytes}`;
  const advice = 'grow it to less, or copy its blobs to a store that createStore makes with a larger growTo';
  return new BlobstoreError('ENOSPC', `${found}; ${advice}`);
}
