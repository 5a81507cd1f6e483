/** The blocks of a device in which there is a store: the super block says how long they are. */

import { type BlockDevice, blockLengthOfStore, PAGE_BYTES, SuperBlock } from '@blobyard/core';
import { type DeviceSpec, FileDevice, type FileDeviceSpec } from '@blobyard/io';
import { isDevice } from './open-device.js';

/** Blocks by which any store can be looked at. */
const BLOCK_BYTES = 512;

/**
 * The device of a store that is there. A file whose block length is not given gets the one of the store in it, in the spec, so that
 * every thread opens it alike. Throws nothing: what is wrong with the file, opening it says.
 */
export function asItsStoreSays(device: DeviceSpec | BlockDevice): DeviceSpec | BlockDevice {
  if (isDevice(device) || device.kind !== 'file' || device.create || device.blockLengthBytes !== undefined)
    return device;
  const blockLengthBytes = lookUp(device);
  return blockLengthBytes === undefined ? device : { ...device, blockLengthBytes };
}

/** Opens the file as it is going to be opened: a pipe, for one, would otherwise be waited for. */
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
