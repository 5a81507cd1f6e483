/** Devices whose size their user may change, as a test does and as one who extends an image file does. */

import type { BlockDevice, MaybePromise } from '@blobyard/core';

export interface ResizableDevice extends BlockDevice {
  /**
   * Makes the device `blockCount` blocks long. New blocks read as zeroes; the bytes of blocks that go are lost. No
   * operation may be under way on blocks that go. Throws EINVAL for a count that the medium cannot have, ENOTSUP for a
   * medium of fixed size.
   */
  resize(blockCount: number): MaybePromise<void>;
}

export function isResizable(device: BlockDevice): device is ResizableDevice {
  try {
    return typeof (device as Partial<ResizableDevice> | null | undefined)?.resize === 'function';
  } catch {
    return false; // looking at it throws: it is no device
  }
}
