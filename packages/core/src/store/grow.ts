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
import { updateSuper } from '../state/super-block-io.js';
import { type Steps, wait } from '../steps/steps.js';
import { BlobstoreError } from '../units/error.js';
import { NONE_U32, PAGE_BYTES } from '../units/units.js';
import type { LoadOptions } from './options.js';
import { clusterMaskRoom, parseGeometry } from './super-geometry.js';

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
  if (store.device.refresh) yield* wait(store.device.refresh());
  let clusterCount = shared.clusters.capacity;
  let isLarger = false;
  yield* updateSuper(store, (block) => {
    const { deviceBytes } = store;
    clusterCount = Math.floor(deviceBytes / block.clusterBytes);
    // Comparing with the super block is not enough: a failed write of it may have reached the disk.
    isLarger = deviceBytes !== block.sizeBytes || clusterCount !== shared.clusters.capacity;
    if (!isLarger) return false;
    const pages = maskPages(clusterCount);
    const room = clusterMaskRoom(block);
    const hasRoom = pages <= room && clusterCount < NONE_U32;
    if (deviceBytes < block.sizeBytes || clusterCount < shared.clusters.capacity || !hasRoom) {
      const reason = hasRoom
        ? 'the device is smaller than the store'
        : `its cluster mask has room for ${room} pages and would need ${pages}, for ${clusterCount} clusters`;
      throw new BlobstoreError('ENOSPC', `the store cannot grow to ${deviceBytes} bytes: ${reason}`);
    }
    block.clean = 0;
    block.sizeBytes = deviceBytes;
    block.clusterMask = { start: block.clusterMask.start, count: pages };
    return true;
  });
  if (!isLarger) return;
  store.clean = false;
  yield* beginMarks(store);
  shared.locked(() => shared.clusters.grow(clusterCount));
  store.onFreeChange?.();
}
