/** The device of a store on one more thread: the same file, and a share of its lock. */

import { BlobstoreError, type BlockDevice } from '@blobyard/core';
import { type DeviceSpec, FileDevice, openDevice } from '@blobyard/io';
import { takeStoreShare } from '@blobyard/io/internal/store-share';

/** A device as one of the threads of a store has it. */
export interface SharedDevice {
  readonly device: BlockDevice;
  /** The descriptor by which the thread has its share of the lock on the device's file; undefined when there is no lock. */
  readonly share: number | undefined;
}

/**
 * Opens a store's device on one more thread, and takes the thread's share of the lock on its file.
 *
 * @param shareWindow - of the lock, if the one who has opened the store has it
 * @throws EIO the store has lost its opener, and what opening the device throws.
 */
export async function openShared(spec: DeviceSpec, shareWindow: number | undefined): Promise<SharedDevice> {
  const device = await openDevice(spec);
  if (shareWindow === undefined) return { device, share: undefined };
  try {
    if (!(device instanceof FileDevice)) throw new BlobstoreError('EINVAL', 'only the lock of a file can be shared');
    takeStoreShare(device, shareWindow);
    return { device, share: device.descriptor };
  } catch (error) {
    await device.close();
    throw error;
  }
}
