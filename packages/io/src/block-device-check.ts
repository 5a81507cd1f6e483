/** Checks whether a value is a device. */

import type { BlockDevice } from '@blobyard/core';
import { invalid } from '@blobyard/core/internal/argument-checks';

/** True for an object with the properties and methods that a device must have. */
export function isBlockDevice(value: unknown): value is BlockDevice {
  if (typeof value !== 'object' || value === null) return false;
  try {
    const { blockLengthBytes, blockCount, synchronous, canCopy, openChannel, close } = value as Partial<BlockDevice>;
    const isMeasured = Number.isSafeInteger(blockLengthBytes) && Number.isSafeInteger(blockCount);
    const isDescribed = typeof synchronous === 'boolean' && typeof canCopy === 'boolean';
    return isMeasured && isDescribed && typeof openChannel === 'function' && typeof close === 'function';
  } catch {
    return false; // reading its properties throws
  }
}

/** Returns the value if it is a device. Throws EINVAL otherwise. */
export function checkBlockDevice(value: unknown): BlockDevice {
  if (isBlockDevice(value)) return value;
  throw invalid('the device', value, 'an open BlockDevice');
}
