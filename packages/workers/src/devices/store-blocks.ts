/** Finds the block length of a file that holds a store: it is in the super block. */

import { type BlockDevice, blockLengthOfStore, PAGE_BYTES, SuperBlock } from '@blobyard/core';
import { type DeviceSpec, FileDevice, type FileDeviceSpec } from '@blobyard/io';
import { isDevice } from './open-device.js';

/** With this block length the super block of any store can be read. */
const BLOCK_BYTES = 512;

/**
 * Returns the device of an existing store. If the spec of a file has no block length, it gets the one of the store in
 * the file, so that all threads open the file with the same block length. Does not throw: if the file is not usable,
 * opening it throws later.
 */
export function asItsStoreSays(device: DeviceSpec | BlockDevice): DeviceSpec | BlockDevice {
  if (isDevice(device) || device.kind !== 'file' || device.create || device.blockLengthBytes !== undefined)
    return device;
  const blockLengthBytes = lookUp(device);
  return blockLengthBytes === undefined ? device : { ...device, blockLengthBytes };
}

/** Opens the file as `FileDevice` does, which refuses a pipe, for example. Another open could block on it. */
function lookUp({ path, readOnly }: FileDeviceSpec): number | undefined {
  let file: FileDevice | undefined;
  try {
    file = FileDevice.open({ path, blockLengthBytes: BLOCK_BYTES, readOnly });
    const block = new SuperBlock();
    void file.openChannel().read(block.bytes, 0, 0, PAGE_BYTES / BLOCK_BYTES);
    return blockLengthOfStore(block);
  } catch {
    return undefined;
  } finally {
    void file?.close();
  }
}
