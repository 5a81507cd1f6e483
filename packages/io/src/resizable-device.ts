/** Devices whose size can be changed, as by a test, or by a user who extends an image file. */

import type { BlockDevice, MaybePromise } from '@blobyard/core';

/** A device whose size can be changed. */
export interface ResizableDevice extends BlockDevice {
  /**
   * Makes the device `blockCount` blocks long. New blocks read as zeroes; the contents of removed blocks are lost. No
   * operation may be in flight on removed blocks. Throws EBADF on a closed device, EINVAL for a count that the medium
   * cannot have, ENOTSUP for a medium of fixed size.
   */
  resize(blockCount: number): MaybePromise<void>;
}

/** True for a device that has `resize`. */
export function isResizable(device: BlockDevice): device is ResizableDevice {
  try {
    return typeof (device as Partial<ResizableDevice> | null | undefined)?.resize === 'function';
  } catch {
    return false; // reading its properties throws: it is no device
  }
}
