/** How a device gets to other threads: by a spec, which each of them opens. */

import { BlobstoreError, type BlockDevice } from '@blobyard/core';
import { type DeviceSpec, FileDevice, MemoryDevice, openDevice, sharedSpec } from '@blobyard/io';
import { isDevice } from './open-device.js';

/** A spec that any thread can open, and the device that has to stay open meanwhile, if there is one. */
export interface ShareableDevice {
  readonly spec: DeviceSpec;
  readonly device: BlockDevice | undefined;
}

/**
 * The spec by which other threads open a device that this thread has open.
 * @param given - as the user named it
 * @throws ENOTSUP when they cannot.
 */
export function specForThreads(given: DeviceSpec | BlockDevice, device: BlockDevice): DeviceSpec {
  if (!isDevice(given)) return sharedSpec(given, device);
  if (device instanceof MemoryDevice || device instanceof FileDevice) return device.spec;
  const found = `this open device (${device.constructor.name}) is one thread's own`;
  const advice = 'give a device spec, a MemoryDevice or a FileDevice, or open the store with `threads: 0`';
  throw new BlobstoreError('ENOTSUP', `${found}, and a store with threads opens its devices in each: ${advice}`);
}

/** What other threads are to open for a device. One that is made is made here, once. Throws ENOTSUP when they cannot. */
export async function shareable(given: DeviceSpec | BlockDevice): Promise<ShareableDevice> {
  if (isDevice(given)) return { spec: specForThreads(given, given), device: given };
  const isMade = (given.kind === 'memory' && !('memory' in given)) || (given.kind === 'file' && given.create === true);
  if (!isMade && given.kind !== 'sparse-memory') return { spec: given, device: undefined };
  const device = await openDevice(given);
  try {
    return { spec: specForThreads(given, device), device };
  } catch (error) {
    await device.close();
    throw error;
  }
}
