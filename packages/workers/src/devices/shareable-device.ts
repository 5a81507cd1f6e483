/** Makes a device available to other threads: by a spec, which each of them opens. */

import { BlobstoreError, type BlockDevice } from '@blobyard/core';
import { type DeviceSpec, FileDevice, MemoryDevice, openDevice, sharedSpec } from '@blobyard/io';
import { isDevice } from './open-device.js';

/** A spec that any thread can open. If there is a `device`, it must stay open until the threads have opened theirs. */
export interface ShareableDevice {
  readonly spec: DeviceSpec;
  readonly device: BlockDevice | undefined;
}

/**
 * Returns the spec by which other threads open a device that this thread has open.
 * @param given - the spec or device that the user passed
 * @throws ENOTSUP other threads cannot open the device.
 */
export function specForThreads(given: DeviceSpec | BlockDevice, device: BlockDevice): DeviceSpec {
  if (!isDevice(given)) return sharedSpec(given, device);
  if (device instanceof MemoryDevice || device instanceof FileDevice) return device.spec;
  const found = `this open device (${device.constructor.name}) can be used by one thread only`;
  const advice = 'give a device spec, a MemoryDevice or a FileDevice, or open the store with `threads: 0`';
  throw new BlobstoreError('ENOTSUP', `${found}, and each thread of a store with threads opens its devices: ${advice}`);
}

/**
 * Returns a spec by which other threads open a device. If the given spec creates a new device, this function creates
 * it, so that it is created only once. Throws ENOTSUP if other threads cannot open the device.
 */
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
