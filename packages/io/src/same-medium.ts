/** Whether two devices are on the same medium. */

import type { BlockDevice } from '@blobyard/core';
import { FileDevice } from './file-device.js';
import { MemoryDevice } from './memory-device.js';
import { OverlayDevice } from './overlay-device.js';
import { WrappedDevice } from './wrapped-device.js';

/**
 * True if what is written to one device overwrites the other: they are on the same file or the same shared memory, or
 * are the same object, also where one of them is wrapped. Other devices that share a medium are not recognised.
 */
export function isSameMedium(a: BlockDevice, b: BlockDevice): boolean {
  return mediumOf(a) === mediumOf(b);
}

function mediumOf(device: BlockDevice): unknown {
  if (device instanceof WrappedDevice) return mediumOf(device.inner);
  if (device instanceof OverlayDevice) return mediumOf(device.base);
  return device instanceof FileDevice || device instanceof MemoryDevice ? device.identity : device;
}
